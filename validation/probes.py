"""Properties that random data blurs: where a pixel was sampled, whether the map is linear, whether bits stay.

A probe runs in a child, on one implementation at one case, and says whether its property holds, with the
figure that shows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from validation import oracle, workloads
from validation.kernels import Function
from validation.records import Case, Record
from validation.tasks import OutputReply, Task
from validation.watch import complete
from validation.workloads import Arguments

EPSILON = float(np.finfo(np.float32).eps)
# |<Ax, y> - <x, A*y>| / (|Ax| |y|); results are complex64, whatever the precision inside.
DOT_PRODUCT_LIMIT = 1e-7
ATOL = 1e-6
_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"


class Found(Record, frozen=True, kw_only=True):
    """Whether a property holds, the figure that says so, and its limit."""

    passed: bool
    figure: float | None
    limit: float | None
    detail: str


class Subject(Record, frozen=True, kw_only=True):
    """What is probed: a function at a case. ``name`` is what `validation.kernels` calls it."""

    function: Any
    name: str
    case: Case
    scan_path: str

    def call(self, arguments: Arguments) -> NDArray[Any]:
        """Call the function; the result is the caller's own."""
        return complete(self.function(**arguments)).copy()

    def arguments(self) -> Arguments:
        """Make the case's arguments anew."""
        return workloads.build(self.case, self.scan_path)


Probe = Callable[[Subject], Found]


def _within(figure: float, limit: float, detail: str) -> Found:
    return Found(passed=bool(figure <= limit), figure=float(figure), limit=limit, detail=detail)


def _same_bits(one: NDArray[Any], two: NDArray[Any], detail: str) -> Found:
    if one.shape != two.shape or one.dtype != two.dtype:
        return Found(passed=False, figure=None, limit=0.0, detail=f"{detail}: {one.shape} became {two.shape}")
    raw = [np.ascontiguousarray(each).view(np.uint8) for each in (one, two)]
    return _within(float(np.count_nonzero(raw[0] != raw[1])), 0.0, f"{detail}: bytes that differ")


def _refuse_shape(found: NDArray[Any], expected: tuple[int, ...]) -> Found | None:
    if found.shape == expected:
        return None
    return Found(passed=False, figure=None, limit=None, detail=f"expected shape {expected}, got {found.shape}")


def _sampled_at(arguments: Arguments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows (B, N, N, c) of the object (not padded) where pixels are sampled."""
    N = arguments["N"]
    total = (arguments["global_offsets"] + arguments["local_offsets"]).astype(np.float32).astype(np.float64)
    axis = np.arange(N) - N // 2
    x = axis[None, None, :, None] + total[:, :, 0][:, :, None, :]
    y = axis[None, :, None, None] + total[:, :, 1][:, :, None, :]
    return np.broadcast_arrays(x, y)  # type: ignore[return-value]


def _inside(arguments: Arguments) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    x, y = _sampled_at(arguments)
    height, width = arguments["gt_image"].shape
    return x, y, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def gradient(subject: Subject) -> Found:
    """Take the object x + 1j*y: every pixel of the result says where it was sampled."""
    arguments = subject.arguments()
    height, width = arguments["gt_image"].shape
    y, x = np.mgrid[0.0:height, 0.0:width]
    arguments["gt_image"] = (x + 1j * y).astype(subject.case.dtype)
    found = subject.call(arguments)
    columns, rows, inside = _inside(arguments)
    refused = _refuse_shape(found, columns.shape)
    if refused is not None:
        return refused
    error = np.abs(found - (columns + 1j * rows))[inside].max(initial=0.0)
    return _within(error, 4 * EPSILON * max(height, width), "largest distance from where it should be sampled, pixels")


def constant_object(subject: Subject) -> Found:
    """See that a constant object gives constant patches wherever they lie inside."""
    arguments = subject.arguments()
    value = np.complex64(0.71 - 0.37j)
    arguments["gt_image"] = np.full_like(arguments["gt_image"], value)
    found = subject.call(arguments)
    inside = _inside(arguments)[2]
    refused = _refuse_shape(found, inside.shape)
    if refused is not None:
        return refused
    return _within(np.abs(found - value)[inside].max(initial=0.0), 2 * EPSILON, "largest distance from the constant")


def integer_slicing(subject: Subject) -> Found:
    """Hold whole-pixel offsets against slices of the padded object, bit for bit."""
    case = msgspec.structs.replace(subject.case, pattern="integer")
    arguments = workloads.build(case, subject.scan_path)
    margin = 2 * case.N
    padded = np.pad(arguments["gt_image"].astype(np.complex64), margin)
    found = subject.call(arguments)
    total = (arguments["global_offsets"] + arguments["local_offsets"])[:, 0].astype(int) + margin - case.N // 2
    expected = np.empty((case.batch, case.N, case.N, case.gridsize**2), np.complex64)
    for group, channel in np.ndindex(case.batch, case.gridsize**2):
        x, y = total[group, :, channel]
        expected[group, :, :, channel] = padded[y : y + case.N, x : x + case.N]
    return _same_bits(expected, found + np.complex64(0), "against slices")


def _random_like(shape: tuple[int, ...], seed: int, dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng([seed, 77])
    parts = rng.uniform(-1.0, 1.0, (2, *shape))
    return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)


def dot_product(subject: Subject) -> Found:
    """Hold <A x, y> against <x, A* y> with independent random complex x and y; A* is the oracle's."""
    arguments = subject.arguments()
    forward = subject.call(arguments)
    other = _random_like(forward.shape, subject.case.seed, np.complex64)
    if subject.case.kernel == "reassembly":
        given = arguments["obj_tensor"]
        offsets = arguments["global_offsets"]
        size = oracle.canvas_size(offsets, arguments["M"])
        refused = _refuse_shape(forward, (size, size, 1))
        if refused is not None:
            return refused
        back = oracle.shift_and_sum_adjoint(other, given.shape, offsets, arguments["M"])
    else:
        given = arguments["gt_image"]
        refused = _refuse_shape(forward, _inside(arguments)[2].shape)
        if refused is not None:
            return refused
        precision = np.float64 if given.dtype == np.complex128 else np.float32
        back = oracle.extract_patches_adjoint(
            other, given.shape, arguments["global_offsets"], arguments["local_offsets"], precision
        )
    wide = forward.astype(np.complex128)
    left = np.vdot(other.astype(np.complex128), wide)
    right = np.vdot(back, given.astype(np.complex128))
    scale = float(np.linalg.norm(wide) * np.linalg.norm(other)) or 1.0
    return _within(float(abs(left - right)) / scale, DOT_PRODUCT_LIMIT, "|<Ax, y> - <x, A*y>| / (|Ax| |y|)")


def _impulses(subject: Subject, name: str, arguments: Arguments, compute: Function) -> Found:
    """Compare the columns of the kernel's matrix with those of the oracle, over real and imaginary impulses."""
    worst = 0.0
    shape = arguments[name].shape
    for number, index in enumerate(np.ndindex(shape)):
        impulse = np.zeros(shape, arguments[name].dtype)
        impulse[index] = 1j if number % 2 else 1.0
        changed = {**arguments, name: impulse}
        found, expected = subject.call(changed), compute(**changed)
        refused = _refuse_shape(found, expected.shape)
        if refused is not None:
            return refused
        worst = float(np.maximum(worst, np.abs(found - expected).max()))  # unlike max(), keeps a NaN
    return _within(worst, ATOL, "largest difference over all columns of the matrix")


def impulse_matrix(subject: Subject) -> Found:
    """Build the kernel's matrix on a tiny case, column by column from impulses."""
    if subject.case.kernel == "reassembly":
        case = msgspec.structs.replace(subject.case, N=4, M=4, gridsize=1, batch=2, height=7, width=9)
        arguments = workloads.build(case, subject.scan_path)
        return _impulses(subject, "obj_tensor", arguments, oracle.shift_and_sum)
    case = msgspec.structs.replace(subject.case, N=4, batch=2, height=5, width=7, pattern="border")
    return _impulses(subject, "gt_image", workloads.build(case, subject.scan_path), oracle.extract_patches)


def batch_size(subject: Subject) -> Found:
    """See that every group gives the same bits alone, in halves and with all others."""
    arguments = subject.arguments()
    whole = subject.call(arguments)
    names = ("global_offsets", "local_offsets")
    for step in (1, max(1, subject.case.batch // 2)):
        pieces = [
            subject.call({**arguments, **{name: arguments[name][at : at + step] for name in names}})
            for at in range(0, subject.case.batch, step)
        ]
        found = _same_bits(whole, np.concatenate(pieces), f"in batches of {step}")
        if not found.passed:
            return found
    return found


def order(subject: Subject) -> Found:
    """See that bits do not depend on the order of the groups in the batch."""
    arguments = subject.arguments()
    whole = subject.call(arguments)
    shuffled = np.random.default_rng(subject.case.seed).permutation(subject.case.batch)
    names = ("global_offsets", "local_offsets")
    other = subject.call({**arguments, **{name: arguments[name][shuffled] for name in names}})
    return _same_bits(whole[shuffled] if len(whole) == len(shuffled) else whole, other, "in another order")


def earlier_calls(subject: Subject) -> Found:
    """See that bits do not depend on what was computed before."""
    arguments = subject.arguments()
    first = subject.call(arguments)
    between = subject.call(workloads.variant(arguments, 1))
    again = subject.call(subject.arguments())
    if between.size and np.array_equal(first, between):
        return Found(passed=False, figure=None, limit=None, detail="other inputs gave the result of the first ones")
    return _same_bits(first, again, "after a call with other inputs")


def inputs_unchanged(subject: Subject) -> Found:
    """See that the inputs are the same after the call."""
    arguments = subject.arguments()
    subject.call(arguments)
    for name, value in subject.arguments().items():
        found = _same_bits(np.asarray(value), np.asarray(arguments[name]), name)
        if not found.passed:
            return found
    return found


_OTHER_THREADS = """
import os
import sys
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)  # before the folder that this was started in
import msgspec
from validation.probes import answer
from validation.tasks import Task
sys.exit(answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Task)))
"""


def answer(task: Task) -> int:
    """Execute a task that leaves an output; the exit code, with the reason on standard error."""
    from validation.child import execute

    reply = execute(task)
    if isinstance(reply, OutputReply):
        return 0
    sys.stderr.write(f"{reply}\n")
    return 1


def _may_fork() -> bool:
    """Whether this process has one thread: TensorFlow, above all, has not started its own."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _start(task: Task, count: int, log: Path) -> Callable[[], int]:
    """Start a process that has run no operation, with so many threads; what is returned waits for its exit code.

    It is forked where that is safe, in a child of the server, since importing TensorFlow anew takes seconds.
    """
    environment = {_THREADS_VARIABLE: str(count), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if not _may_fork():
        with log.open("wb") as stderr:
            started = subprocess.Popen(
                [sys.executable, "-c", _OTHER_THREADS],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **environment},
            )
        if started.stdin is not None:
            started.stdin.write(msgspec.json.encode(task))
            started.stdin.close()
        return started.wait
    pid = os.fork()
    if pid:
        return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        os.environ.update(environment)
        code = answer(task)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def threads(subject: Subject) -> Found:
    """See that bits do not depend on the number of threads: two fresh processes, one thread and three."""
    counts = (1, 3)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"threads-{count}.npy" for count in counts]
        tasks = [
            Task(
                action="output",
                scan_path=subject.scan_path,
                case=subject.case,
                implementation=subject.name,
                output_path=str(path),
            )
            for path in paths
        ]
        logs = [path.with_suffix(".log") for path in paths]
        # Side by side, since nothing here is timed.
        waits = [_start(task, count, log) for task, count, log in zip(tasks, counts, logs, strict=True)]
        codes = [wait() for wait in waits]
        for count, code, log in zip(counts, codes, logs, strict=True):
            if code != 0:
                last = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
                detail = f"no result with {count} threads: {last}"
                return Found(passed=False, figure=None, limit=0.0, detail=detail)
        one, three = map(np.load, paths)
        return _same_bits(one, three, "with 1 thread and with 3")


def delta(subject: Subject) -> Found:
    """Light one pixel and see it land where its patch's offset says: the centroid of the canvas is that place."""
    arguments = subject.arguments()
    patches = np.zeros_like(arguments["obj_tensor"])
    count, N, M = len(patches), patches.shape[1], arguments["M"]
    which = count // 3
    row, column = N // 2 - M // 2 + M // 3, N // 2 - M // 2 + M // 2
    patches[which, row, column, 0] = 1.0
    canvas = subject.call({**arguments, "obj_tensor": patches})
    size = oracle.canvas_size(arguments["global_offsets"], M)
    refused = _refuse_shape(canvas, (size, size, 1))
    if refused is not None:
        return refused
    flat = np.asarray(arguments["global_offsets"], np.float64).reshape(-1, 2)
    dx, dy = flat[which].astype(np.float32) - flat.mean(axis=0).astype(np.float32)
    pad = (size - M) // 2
    light = canvas[..., 0].real.astype(np.float64)
    mass = light.sum() or np.nan
    y, x = np.indices(light.shape)
    error = np.hypot((light * x).sum() / mass - (pad + M // 2 + dx), (light * y).sum() / mass - (pad + M // 3 + dy))
    figure = float(max(error, abs(mass - 1.0))) if np.isfinite(error) else np.inf
    return _within(figure, 1e-3, "distance of the pixel from its place, pixels, or change of its sum")


def count_canvas(subject: Subject) -> Found:
    """See patches of ones add up to the count canvas, whose sum is P*M*M."""
    arguments = subject.arguments()
    arguments["obj_tensor"] = np.ones_like(arguments["obj_tensor"])
    canvas = subject.call(arguments)
    expected = oracle.shift_and_sum(**arguments)
    refused = _refuse_shape(canvas, expected.shape)
    if refused is not None:
        return refused
    total = len(arguments["obj_tensor"]) * arguments["M"] ** 2
    of_sum = abs(float(canvas.real.astype(np.float64).sum()) / total - 1.0)
    of_pixels = float(np.abs(canvas - expected).max()) / float(np.abs(expected).max())
    return _within(
        float(np.maximum(of_sum, of_pixels)), ATOL, "relative difference of the sum from P*M*M, and of the counts"
    )


PROBES: dict[str, dict[str, Probe]] = {
    "patch_extraction": {
        "gradient": gradient,
        "constant_object": constant_object,
        "integer_slicing": integer_slicing,
        "dot_product": dot_product,
        "impulse_matrix": impulse_matrix,
        "batch_size": batch_size,
        "order": order,
        "earlier_calls": earlier_calls,
        "inputs_unchanged": inputs_unchanged,
        "threads": threads,
    },
    "reassembly": {
        "delta": delta,
        "count_canvas": count_canvas,
        "dot_product": dot_product,
        "impulse_matrix": impulse_matrix,
        "earlier_calls": earlier_calls,
        "inputs_unchanged": inputs_unchanged,
        "threads": threads,
    },
}


def names(kernel: str) -> tuple[str, ...]:
    """Names of the probes of a kernel."""
    return tuple(PROBES[kernel])


def run(probe: str, function: Function, name: str, case: Case, scan_path: str) -> Found:
    """Run one probe on one implementation.

    Raises
    ------
    ValueError
        If the kernel has no such probe, or the case no group.
    """
    known = PROBES[case.kernel]
    if probe not in known:
        raise ValueError(f"probe of {case.kernel} must be one of {', '.join(known)}, got {probe!r}")
    if case.batch < 1:
        raise ValueError(f"a probe needs a batch of at least one group, got {case.batch}")
    return known[probe](Subject(function=function, name=name, case=case, scan_path=scan_path))
