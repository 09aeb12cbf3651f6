"""The parameters of both kernels, and their cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from validation.contract.base import Record
from validation.contract.cases import Case, Parameter, Scalar
from validation.contract.errors import UsageError

Name = Literal["patch_extraction", "reassembly"]
Dtype = Literal["complex64", "complex128"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
PATTERNS = ("interior", "border", "outside", "integer", "zero", "fermat", "raster", "scan", "fading")

_SHORT_DTYPE = {"complex64": "c64", "complex128": "c128"}
# Size of the central part that reassembly keeps, pixels, where nothing else is said.
KEPT = 20

PARAMETERS = (
    Parameter(name="N", short="N", label="patch size", unit="pixels"),
    Parameter(name="gridsize", short="g", label="grid size"),
    Parameter(name="batch", short="B", label="groups"),
    Parameter(name="dtype", label="dtype", names=_SHORT_DTYPE),
    Parameter(name="height", label="height of the object", unit="pixels"),
    Parameter(name="width", label="width of the object", unit="pixels"),
    Parameter(name="pattern", label="offsets pattern"),
)
KEPT_PARAMETER = Parameter(name="M", short="M", label="size of the part that is kept", unit="pixels")


class PatchCase(Record, frozen=True, kw_only=True):
    """A case with its parameters by name.

    ``height`` and ``width`` are of the object in pixels; ``M`` is the size of the central part that
    reassembly keeps (``None`` for patch extraction). ``batch`` is the number of groups B, the number
    of patches is ``batch * gridsize**2``.
    """

    case_id: str
    kernel: Name
    N: int
    gridsize: int
    batch: int
    dtype: Dtype
    height: int
    width: int
    pattern: str
    seed: int
    M: int | None = None

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.batch * self.gridsize**2


def of(case: Case) -> PatchCase:
    """Give the parameters of a case by name."""
    return PatchCase(case_id=case.case_id, kernel=cast(Name, case.kernel), seed=case.seed, **cast(Any, case.params))


def case_id(kernel: str, params: Mapping[str, Scalar], seed: int) -> str:
    """Name a case, as ``patch_extraction-N64-g2-B10-c64-200x256-fermat-s0``."""
    name = (
        f"{kernel}-N{params['N']}-g{params['gridsize']}-B{params['batch']}-{_SHORT_DTYPE[str(params['dtype'])]}"
        f"-{params['height']}x{params['width']}-{params['pattern']}-s{seed}"
    )
    return f"{name}-M{params['M']}" if "M" in params else name


def check(params: Mapping[str, Any]) -> None:
    """Refuse parameters that are not possible.

    Raises
    ------
    UsageError
        If a value is out of range.
    """
    for name in ("N", "gridsize", "batch", "height", "width", *(["M"] if "M" in params else [])):
        if not isinstance(params[name], int) or isinstance(params[name], bool):
            raise UsageError(f"{name} must be an integer, got {params[name]!r}")
    if params["N"] < 2 or params["N"] % 2:
        raise UsageError(f"N must be an even positive integer, got {params['N']}")
    if params["gridsize"] < 1:
        raise UsageError(f"gridsize must be a positive integer, got {params['gridsize']}")
    if params["batch"] < 0:
        raise UsageError(f"batch must not be negative, got {params['batch']}")
    if min(params["height"], params["width"]) < 1:
        raise UsageError(f"height and width must be positive, got {params['height']} and {params['width']}")
    if params["pattern"] not in PATTERNS:
        raise UsageError(f"pattern must be one of {', '.join(PATTERNS)}, got {params['pattern']!r}")
    if params["dtype"] not in DTYPES:
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, got {params['dtype']!r}")
    if "M" in params and not 1 <= params["M"] <= params["N"]:
        raise UsageError(f"M must lie in 1..N = 1..{params['N']}, got {params['M']}")


def work(params: Mapping[str, Any]) -> float:
    """Count the patches of a case."""
    return float(params["batch"] * params["gridsize"] ** 2)


def make_case(
    kernel: Name,
    *,
    N: int,
    gridsize: int,
    batch: int,
    shape: tuple[int, int],
    pattern: str,
    dtype: str = "complex64",
    seed: int = 0,
    M: int | None = None,
) -> Case:
    """Make a case of either kernel.

    Parameters
    ----------
    shape : tuple
        (height, width) of the object in pixels.

    Raises
    ------
    UsageError
        If a value is out of range.
    """
    params: dict[str, Scalar] = {
        "N": N, "gridsize": gridsize, "batch": batch, "dtype": dtype, "height": shape[0], "width": shape[1],
        "pattern": pattern,
    }  # fmt: skip
    if kernel == "reassembly":
        params["M"] = KEPT if M is None else M
    check(params)
    return Case(case_id=case_id(kernel, params, seed), kernel=kernel, params=params, seed=seed, work=work(params))
