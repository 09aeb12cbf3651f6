"""The two kernels: cutting patches out of an object, and adding them up where they belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from validation.contract.cards import Implementation, ImplementationRole
from validation.contract.cases import Case, Judged, Scalar, Sweep
from validation.contract.errors import UsageError
from validation.contract.kernel import Arguments, Kernel
from validation.contract.mutant import Exhibition
from validation.kernels.patches import case as cases
from validation.kernels.patches import mutants as bad
from validation.kernels.patches import promise
from validation.kernels.patches.law import ReferenceLaw, output_bytes, predicted_bytes
from validation.kernels.patches.peers import PEERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from validation.contract.manifest import Scan

_HERE = "validation.kernels.patches"


def _made(name: str, function: str, summary: str, role: ImplementationRole = "candidate") -> Implementation:
    module = "oracle" if role == "oracle" else "implementations"
    return Implementation(name=name, role=role, target=f"{_HERE}.{module}:{function}", summary=summary)


class _Patches(Kernel):
    """What both kernels have in common; patches are complex64, positions [x, y] in pixels."""

    work_unit = "patches"
    preload = ("scipy.spatial", "tensorflow")
    takes_scan = True
    subject = True
    words = promise.words()
    atol = promise.promise().atol
    promise_digest = promise.digest()

    def work(self, params: Mapping[str, Scalar]) -> float:
        """Count the patches."""
        return cases.work(params)

    def check(self, params: Mapping[str, Scalar]) -> None:
        """Refuse sizes, patterns and dtypes that are not possible."""
        cases.check(params)

    def case_id(self, params: Mapping[str, Scalar], seed: int) -> str:
        """Name a case, as ``patch_extraction-N64-g2-B10-c64-200x256-fermat-s0``."""
        return cases.case_id(self.name, params, seed)

    def given(self, values: dict[str, Any], scan: Scan | None) -> dict[str, Any]:
        """Complete a table of a sweep file; an object without a shape has the scan's."""
        shapes = values.get("shape", () if scan is None else (scan.object_shape,))
        if not all(isinstance(shape, (list, tuple)) and len(shape) == 2 for shape in shapes):
            raise UsageError(f"shape must be a list of [height, width], got {shapes!r}")
        kept = {"M": cases.KEPT} if self.name == "reassembly" else {}
        defaults = {"N": 64, "gridsize": 2, "batch": 10, "dtype": "complex64", "pattern": "scan", **kept}
        return {**defaults, **values, "shape": [tuple(shape) for shape in shapes]}

    def joined(self, values: dict[str, Any]) -> dict[str, Scalar]:
        """Take a shape apart."""
        height, width = values["shape"]
        return {**{name: value for name, value in values.items() if name != "shape"}, "height": height, "width": width}

    def build(self, case: Case, rng: np.random.Generator, data: str | None) -> Arguments:
        """Make arguments that belong to nothing but the state of ``rng``."""
        return self.fresh(case, self.inputs(case, data), rng, data)

    def inputs(self, case: Case, data: str | None) -> Arguments:
        """Make the arguments of a case, see `validation.kernels.patches.workloads.build`."""
        from validation.kernels.patches import workloads

        return workloads.build(cases.of(case), str(data))

    def seeded(self, case: Case) -> bool:
        """Say no of what is read from a scan."""
        return cases.of(case).pattern != "scan"

    def fresh(self, case: Case, base: Arguments, rng: np.random.Generator, data: str | None) -> Arguments:
        """Make as much work of data that nobody has seen, of the arguments of the case."""
        from validation.kernels.patches import workloads

        return workloads.fresh(cases.of(case), _named(base), rng)

    def smallest(self, arguments: Arguments) -> Arguments:
        """Keep the first group (or patch)."""
        from validation.kernels.patches import workloads

        return workloads.smallest(_named(arguments))

    def smaller(self, case: Case) -> Case:
        """Keep one group (or patch)."""
        return self.changed(case, batch=min(cases.of(case).batch, 1))

    def chosen(self, case: Case, arguments: Arguments, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        """Draw some groups of patches, or a band of rows of a canvas."""
        from validation.kernels.patches import workloads

        # What is no array of patches is kept as it is, and differs.
        return workloads.chosen(cases.of(case), _named(arguments), shape[0], rng) if shape else ...

    def expected_part(self, case: Case, arguments: Arguments, rng: np.random.Generator) -> NDArray[Any] | None:
        """Compute the drawn part alone."""
        from validation.kernels.patches import workloads

        return workloads.expected_part(cases.of(case), _named(arguments), rng)

    def scale(self, case: Case, data: str | None) -> float:
        """Give the largest magnitude that a case takes of a scan's object, 1 where the object is made."""
        from validation.kernels.patches import workloads

        return workloads.scale(cases.of(case), str(data))

    def output_bytes(self, case: Case) -> int | None:
        """Size of the patches, or about that of the canvas."""
        return output_bytes(cases.of(case))

    def needed_bytes(self, case: Case, implementation: str) -> int | None:
        """Predict what a call takes."""
        return predicted_bytes(cases.of(case), implementation)

    def law(self) -> ReferenceLaw:
        """Give the law of the loop."""
        return ReferenceLaw()


def _named(arguments: Arguments) -> dict[str, Any]:
    if not isinstance(arguments, dict):
        raise TypeError(f"arguments must be given by name, got {type(arguments).__name__}")
    return arguments


class PatchExtraction(_Patches):
    """``f(gt_image, global_offsets, local_offsets, N, gridsize)`` gives (B, N, N, c) complex64."""

    name = "patch_extraction"
    title = "cut the N x N window of the object at every scan position"
    parameters = cases.PARAMETERS
    reference = _made("reference", "extract_iterative", "get_image_patches, flag off in the config", "reference")
    oracle = _made("oracle", "extract_patches", "float64 NumPy", "oracle")
    candidates = (
        _made("batched", "extract_batched", "get_image_patches, flag on in the config"),
        _made(
            "batched_environment",
            "extract_batched_by_environment",
            "get_image_patches, flag on by USE_BATCHED_PATCH_EXTRACTION",
        ),
        _made("batched_params", "extract_batched_by_params", "get_image_patches, flag on in params.cfg"),
        _made("batched_graph", "extract_batched_in_graph", "_get_image_patches_batched inside tf.function"),
        _made("batched_xla", "extract_batched_by_xla", "_get_image_patches_batched, engine xla"),
        _made(
            "batched_without_native",
            "extract_batched_without_native",
            "get_image_patches, flag on, as where machine code cannot be made",
        ),
        _made(
            "batched_single_groups",
            "extract_batched_by_single_groups",
            "_get_image_patches_batched, one group per chunk",
        ),
        _made(
            "batched_eager",
            "extract_batched_eagerly",
            "engine xla with every tf.function run eagerly, so without XLA",
        ),
        _made(
            "iterative_environment",
            "extract_iterative_by_environment",
            "get_image_patches, flag off by USE_BATCHED_PATCH_EXTRACTION",
        ),
        _made(
            "iterative_eager",
            "extract_iterative_eagerly",
            "the loop with every tf.function run eagerly, so without XLA",
        ),
    )
    peers = PEERS["patch_extraction"]
    mutants = bad.of_kernel("patch_extraction")
    coverage = promise.promise().coverage

    def warms_up_on_the_smallest(self, implementation: str) -> bool:
        """Say so of the loop: its compiled step is the same for all of the work."""
        return implementation == "reference"

    def judged(self, case: Case) -> tuple[Judged, ...]:
        """Judge speed, first call and memory."""
        return promise.of_extraction(case)

    def picture(self, case: Case, array: NDArray[Any], index: tuple[int, ...]) -> NDArray[Any] | None:
        """Cut out the patch."""
        import numpy as np

        return np.asarray(array[index[0], :, :, index[3]])

    def sweep(self, name: str, scan: Scan | None, seed: int) -> Sweep | None:
        """Give the cases of extraction in a built-in sweep."""
        from validation.kernels.patches.sweeps import extraction

        return extraction.sweep(name, scan, seed)

    @property
    def properties(self) -> Mapping[str, Callable[..., Any]]:
        """Where pixels are sampled, that the map is linear, that bits stay."""
        from validation.kernels.patches.properties import EXTRACTION

        return EXTRACTION

    @property
    def exhibition(self) -> Exhibition:
        """Cases of the mutants."""
        return bad.EXTRACTION

    def cleaned(self) -> AbstractContextManager[None]:
        """Remove what the caching cheats keep."""
        from validation.kernels.patches.cheats.caching import forgotten

        return forgotten()


class Reassembly(_Patches):
    """``f(obj_tensor, global_offsets, M)`` gives (S, S, 1) complex64."""

    name = "reassembly"
    title = "add patches up where they belong"
    parameters = (*cases.PARAMETERS, cases.KEPT_PARAMETER)
    reference = _made("reference", "place_by_loop", "shift_and_sum_old", "reference")
    oracle = _made("oracle", "shift_and_sum", "float64 NumPy", "oracle")
    candidates = (
        _made("batched", "place_batched", "shift_and_sum"),
        _made("batched_graph", "place_batched_in_graph", "shift_and_sum inside tf.function"),
        _made(
            "batched_eager",
            "place_batched_eagerly",
            "shift_and_sum without machine code, every tf.function run eagerly, so without XLA",
        ),
        _made(
            "batched_without_native",
            "place_batched_without_native",
            "shift_and_sum as where machine code cannot be made",
        ),
    )
    mutants = bad.of_kernel("reassembly")

    def judged(self, case: Case) -> tuple[Judged, ...]:
        """Judge the speed."""
        return (promise.of_placement(case),)

    def picture(self, case: Case, array: NDArray[Any], index: tuple[int, ...]) -> NDArray[Any] | None:
        """Give the canvas."""
        import numpy as np

        return np.asarray(array[:, :, 0])

    def sweep(self, name: str, scan: Scan | None, seed: int) -> Sweep | None:
        """Give the cases of reassembly in a built-in sweep."""
        from validation.kernels.patches.sweeps import placement

        return placement.sweep(name, scan, seed)

    @property
    def properties(self) -> Mapping[str, Callable[..., Any]]:
        """Where a pixel lands, that the map is linear."""
        from validation.kernels.patches.properties import PLACEMENT

        return PLACEMENT

    @property
    def exhibition(self) -> Exhibition:
        """Cases of the mutants."""
        return bad.PLACEMENT


KERNELS = (PatchExtraction(), Reassembly())
