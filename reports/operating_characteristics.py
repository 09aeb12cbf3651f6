"""How often the rule of `validation.contract.medians` says what, against the true ratio: a simulation of whole runs.

Each run draws the times of both arms from a noise, is looked at once, and once more where a look leaves it open. The
same draws serve every ratio. Nothing here decides; it shows what the rule that decides is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.judging.policy import read_policy
from validation.contract import medians

if TYPE_CHECKING:
    import numpy as np

RECORDED = Path(__file__).with_name("recorded_times.toml")
# True ratios of the medians, as multiples of the promise.
RATIOS = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
# Processes of the reference and of the candidate: a sweep without an extension, and one that used it.
SIZES = ((medians.REFERENCES, medians.CANDIDATES), (2 * medians.REFERENCES, 2 * medians.CANDIDATES))

# Times of one arm, in one unit for both; from the hour of each, shape (runs, count). The first look takes one hour.
Noise = Callable[["np.random.Generator", "np.ndarray[Any, Any]"], Any]


class Shares(NamedTuple):
    """Shares of runs that end in each way."""

    accept: float
    reject: float
    inconclusive: float

    def __str__(self) -> str:
        return " / ".join(f"{100 * share:.1f}" for share in self)


def _normal(random: np.random.Generator, when: np.ndarray[Any, Any]) -> Any:
    """Vary by a tenth."""
    import numpy as np

    return np.exp(0.1 * random.standard_normal(when.shape))


def _heavy_tailed(random: np.random.Generator, when: np.ndarray[Any, Any]) -> Any:
    """Delay by a twentieth in the median, without a mean: one process in 35 takes twice as long, one in 300 tenfold."""
    import numpy as np

    return (1 + 0.05 * np.abs(random.standard_cauchy(when.shape))) / 1.05


def _bimodal(random: np.random.Generator, when: np.ndarray[Any, Any]) -> Any:
    """Take 1.4 times as long in three processes of ten."""
    import numpy as np

    slow = random.random(when.shape) < 0.3
    return np.where(slow, 1.4, 1.0) * np.exp(0.03 * random.standard_normal(when.shape))


def _drifting(random: np.random.Generator, when: np.ndarray[Any, Any]) -> Any:
    """Get slower by a third within an hour, and quicker again in the next."""
    import numpy as np

    return np.exp(0.5 * np.log(4 / 3) * np.sin(np.pi * when) + 0.05 * random.standard_normal(when.shape))


def resampled(times_s: tuple[float, ...]) -> Noise:
    """Draw from recorded times, with repetition."""

    def noise(random: np.random.Generator, when: np.ndarray[Any, Any]) -> Any:
        import numpy as np

        return random.choice(np.array(times_s) / np.median(times_s), when.shape)

    return noise


def noises() -> dict[str, tuple[Noise, Noise]]:
    """Give the noises by name, of the reference and of the candidate."""
    import msgspec

    made = {"normal": _normal, "heavy-tailed": _heavy_tailed, "bimodal": _bimodal, "drifting": _drifting}
    recorded = msgspec.toml.decode(RECORDED.read_bytes(), type=dict[str, dict[str, Any]])
    return {name: (noise, noise) for name, noise in made.items()} | {
        f"recorded, {name}": (resampled(times["reference_s"]), resampled(times["candidate_s"]))
        for name, times in recorded.items()
    }


def simulate(
    noise: tuple[Noise, Noise], sizes: tuple[int, int], *, runs: int, seed: int = 0, ratios: tuple[float, ...] = RATIOS
) -> list[Shares]:
    """Judge runs of a noise at every ratio.

    Parameters
    ----------
    noise : tuple
        Of the reference and of the candidate.
    sizes : tuple
        Processes of either.
    runs, seed : int
    ratios : tuple of float
        True ratios of the medians over the promise.
    """
    import numpy as np

    limit = np.log1p(read_policy().speed.max_bias)
    random = np.random.default_rng(seed)
    start = 2 * random.random((runs, 1))
    looks = zip(noise, sizes, (medians.REFERENCES, medians.CANDIDATES), strict=True)
    found = medians.judged(*(arm(random, start + (np.arange(count) + 0.5) / first) for arm, count, first in looks))
    sound = found.bias <= limit
    shares = []
    for ratio in ratios:
        accept = float(np.mean(sound & (ratio * found.lower > 1)))
        reject = float(np.mean(sound & (ratio * found.upper < 1)))
        shares.append(Shares(accept, reject, 1 - accept - reject))
    return shares


def table(runs: int = 20_000, seed: int = 0) -> str:
    """Make the Markdown tables of all noises, one for each of `SIZES`."""
    named = noises()
    blocks = []
    for sizes in SIZES:
        columns = [simulate(noise, sizes, runs=runs, seed=seed) for noise in named.values()]
        blocks.append(
            "\n".join(
                [
                    "{} processes of the reference, {} of the candidate:\n".format(*sizes),
                    f"| true ratio / promise | {' | '.join(named)} |",
                    "|---" * (len(named) + 1) + "|",
                    *(
                        f"| {ratio:g} | {' | '.join(map(str, row))} |"
                        for ratio, *row in zip(RATIOS, *columns, strict=True)
                    ),
                ]
            )
        )
    return "\n\n".join(blocks) + "\n"
