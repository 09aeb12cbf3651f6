"""Holds what a child said of its calls against what the server saw, and what it kept of its results against the oracle.

This is done by the parent, which never imported the implementation. The inputs of a call come from entropy that the
server gave, so that they can be made again here.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from validation.child.channel import Mark, ProtocolError, WitnessedCall, calls_of, generator
from validation.child.watch import drawn_part
from validation.contract.cases import Case
from validation.contract.kernel import Arguments, Kernel
from validation.contract.measurements import ArmTiming, Audit, Failure
from validation.contract.tasks import Calls, OutputReply, Which
from validation.measure.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.outputs import saved
from validation.outputs.compare import compare
from validation.outputs.tree import Tree

# By how much the marks may be further apart than the child says that its calls took: a share, seconds for each call,
# and once.
_SHARE, _PER_CALL_S, _ALWAYS_S = 0.1, 5e-5, 0.005
# Processor time is counted in ticks, and what a thread began may end after its call.
_PROCESSOR_SHARE, _PROCESSOR_S = 0.25, 0.02
# How long the inputs of a process may be there before its calls begin: seconds, and times what they take here.
_PREPARED_S, _PREPARED_TIMES = 0.05, 5.0


def _failure(reason: Any, message: str, arm: str) -> CaseFailed:
    return CaseFailed(Failure(reason=reason, message=message, arm=arm))


def witnessed(
    marks: Sequence[Mark], calls_s: Sequence[float], processor_s: float, cores: int, arm: str
) -> tuple[WitnessedCall, ...]:
    """Give the calls as the server saw them; refuse times that do not fit.

    Parameters
    ----------
    marks : sequence of Mark
        The server's log.
    calls_s : sequence of float
        What the child says each call took.
    processor_s : float
        Processor time of the child's threads inside its calls, as the kernel of the system accounts it.
    cores : int
        Processors that the child may use.
    arm : str

    Raises
    ------
    CaseFailed
        With the reason ``tampered``.
    """
    try:
        calls = calls_of(marks)
    except ProtocolError as error:
        raise _failure("tampered", f"the calls of {arm} do not fit what the server saw: {error}", arm) from None
    if len(calls) != len(calls_s):
        raise _failure("tampered", f"{arm} reports {len(calls_s)} calls where the server saw {len(calls)}", arm)
    for which, some in (("first call", slice(0, 1)), ("later calls", slice(1, None))):
        said, seen = sum(calls_s[some]), sum(call.wall_s for call in calls[some])
        if seen > (1 + _SHARE) * said + _PER_CALL_S * len(calls[some]) + _ALWAYS_S:
            raise _failure(
                "tampered",
                f"the {which} of {arm} took {seen:.3g} s by the system's clock, {said:.3g} s by their own",
                arm,
            )
    said = sum(calls_s)
    if processor_s > (1 + _PROCESSOR_SHARE) * cores * said + _PROCESSOR_S:
        raise _failure(
            "tampered",
            f"the calls of {arm} used {processor_s:.3g} s of {cores} processors in {said:.3g} s by their own clock",
            arm,
        )
    return calls


def drawn(calls: Sequence[WitnessedCall], small: Sequence[int]) -> dict[Which, int]:
    """Which calls the child had to keep a part of: the first, and the later one that the choices of the server name."""
    whole = [number for number in range(len(calls)) if number not in small]
    kept: dict[Which, int] = {"first": 0} if 0 in whole else {}
    for count, number in enumerate((number for number in whole if number > 0), 1):
        if generator(calls[number].choice).random() < 1.0 / count:
            kept["later"] = number
    return kept


# Inputs of the cases asked for last, by kernel, case and scan: a case with gigabytes of them stays alone.
_kept: dict[tuple[Kernel, str, str | None], Arguments] = {}
_KEPT = 2


def _inputs(kernel: Kernel, case: Case, scan_path: str | None) -> Arguments:
    """Make the arguments of a case, or have them."""
    key = kernel, case.case_id, scan_path
    if key not in _kept:
        while len(_kept) >= _KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = kernel.inputs(case, scan_path)
    return _kept[key]


def inputs_of(kernel: Kernel, case: Case, scan_path: str | None, entropy: str) -> Arguments:
    """Make the inputs of a call again from the entropy that it drew."""
    return kernel.fresh(case, _inputs(kernel, case, scan_path), generator(entropy), scan_path)


def check_parts(
    bench: Bench, told: Calls, calls: Sequence[WitnessedCall], *, case: Case, path: Path, arm: str
) -> tuple[Audit, ...]:
    """Compare the parts of results that a child kept with the oracle, or with the reference where there is none.

    The reference itself is then the only truth, and is not checked.

    Parameters
    ----------
    bench : Bench
    told : Calls
        What the child says; its parts stand in ``path``, one after the other.
    calls : sequence of WitnessedCall
        What the server saw.
    case : Case
    path : Path
    arm : str

    Raises
    ------
    CaseFailed
        If other parts were kept than had to be, or they cannot be read.
    """
    wanted = drawn(calls, told.small) if case.work > 0 else {}
    said = {part.which: part.call for part in told.kept}
    if said != wanted:
        raise _failure("tampered", f"{arm} kept parts of calls {said}, not those that were drawn: {wanted}", arm)
    kernel = bench.kernel(case)
    if kernel.oracle is None and arm == REFERENCE:
        return ()
    try:
        with path.open("rb") as file:
            kept = [saved.load(file) for _ in told.kept]
    except (OSError, ValueError, EOFError) as error:
        raise _failure("wrong_output", f"what {arm} kept of its results cannot be read: {error}", arm) from None
    scale = kernel.scale(case, bench.scan_path)
    expected = _expected(bench, case, [(calls[part.call], part.which) for part in told.kept])
    return tuple(
        Audit(
            call=part.call,
            entropy=calls[part.call].inputs,
            comparison=compare(
                truth,
                actual,
                expected_name=REFERENCE if kernel.oracle is None else ORACLE,
                actual_name=arm,
                atol=kernel.atol,
                rtol=kernel.rtol,
                scale=scale,
            ),
        )
        for part, actual, truth in zip(told.kept, kept, expected, strict=True)
    )


def _choice(call: WitnessedCall, which: Which) -> np.random.Generator:
    """Give the numbers that draw a part."""
    rng = generator(call.choice)
    if which == "later":
        rng.random()  # whether to keep it
    return rng


def _expected(bench: Bench, case: Case, parts: Sequence[tuple[WitnessedCall, Which]]) -> list[Tree]:
    """Compute what stands where the choices fell, for the inputs that were drawn.

    The oracle is asked here. Where there is none, the reference is, in a process that did not import the candidate.
    """
    kernel = bench.kernel(case)
    found = []
    for call, which in parts:
        arguments = inputs_of(kernel, case, bench.scan_path, call.inputs)
        part = kernel.expected_part(case, arguments, _choice(call, which))
        if part is not None:
            found.append(Tree.of(part))
    if len(found) == len(parts):
        return found
    path = bench.scratch / secrets.token_hex(8)
    try:
        entropies = tuple(call.inputs for call, _ in parts)
        asked = {"case": case, "implementation": REFERENCE, "output_path": str(path)}
        bench.ask("outputs", OutputReply, entropies=entropies, **asked)
        with path.open("rb") as file:
            whole = [saved.load(file) for _ in parts]
    except (OSError, ValueError, EOFError) as error:
        raise _failure("wrong_output", f"the results of the reference cannot be read: {error}", REFERENCE) from None
    finally:
        path.unlink(missing_ok=True)
    return [
        drawn_part(kernel, case, inputs_of(kernel, case, bench.scan_path, call.inputs), tree, _choice(call, which))
        for tree, (call, which) in zip(whole, parts, strict=True)
    ]


def require_possible(timing: ArmTiming, fill_s: float) -> None:
    """Refuse an arm whose calls are over before their result can have been written.

    Parameters
    ----------
    timing : ArmTiming
    fill_s : float
        What one processor of this machine takes to fill touched memory of the result's size.

    Raises
    ------
    CaseFailed
        With the reason ``tampered``.
    """
    least_s, taken_s = fill_s / (2.0 * len(os.sched_getaffinity(0))), median(timing.samples_s)
    if taken_s < least_s:
        arm = timing.implementation
        raise _failure(
            "tampered",
            f"a call of {arm} took {taken_s:.3g} s, where all processors need {least_s:.3g} s to write its result",
            arm,
        )


def require_samples_of_calls(timing: ArmTiming, calls_s: Sequence[float]) -> None:
    """Refuse an arm whose first call and samples are not those of its calls.

    Raises
    ------
    CaseFailed
        With the reason ``tampered``.
    """
    each = timing.calls_per_sample
    sampled = calls_s[len(calls_s) - each * len(timing.samples_s) :]
    means = [sum(sampled[at : at + each]) / each for at in range(0, len(sampled), each)]
    if not np.allclose([timing.first_call_s, *timing.samples_s], [calls_s[0], *means], rtol=1e-9, atol=0.0):
        arm = timing.implementation
        raise _failure("tampered", f"the samples of {arm} are not those of its calls", arm)


def require_prompt(calls: Sequence[WitnessedCall], own_s: float, arm: str) -> None:
    """Refuse calls that began long after their inputs could be known: work may have been done ahead.

    Parameters
    ----------
    calls : sequence of WitnessedCall
    own_s : float
        What it takes this process to make the inputs of a call.
    arm : str

    Raises
    ------
    CaseFailed
        With the reason ``tampered``.
    """
    seen, allowed = sum(call.prepared_s for call in calls), _PREPARED_S + _PREPARED_TIMES * own_s * len(calls)
    if seen > allowed:
        raise _failure(
            "tampered",
            f"{arm} had its inputs {seen:.3g} s before its calls began; making them takes {allowed:.3g} s at most",
            arm,
        )
