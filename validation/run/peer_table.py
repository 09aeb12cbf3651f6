"""Peers beside the candidate: time, memory and error on the same case."""

from __future__ import annotations

from statistics import median

from validation.contract.errors import UsageError
from validation.contract.lines import CaseResult
from validation.run.export import row
from validation.run.results import RunFolder


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _speedup(line: CaseResult) -> float | None:
    """Ratio of the median times of reference and candidate; context, never a verdict."""
    timing = line.measurement.timing if line.measurement else None
    if timing is None or not timing.reference_arms:  # the loop is left out where it is long
        return None
    slow, quick = (
        median(median(arm.samples_s) for arm in arms) for arms in (timing.reference_arms, timing.candidate_arms)
    )
    return slow / quick


def lines(folder: RunFolder) -> list[str]:
    """Tell, case by case, what was measured of the candidate and of each peer.

    Raises
    ------
    UsageError
        If the run measured no peer.
    """
    cases = [line for line in folder.lines() if isinstance(line, CaseResult)]
    with_peers = {line.case.case_id for line in cases if line.role == "peer"}
    if not with_peers:
        raise UsageError(
            f"{folder.path} must hold a run that measured peers, but it has none; "
            "measure them with: python -m validation run --sweep peers --out DIR"
        )
    told = []
    for case_id in sorted(with_peers):
        told += [case_id, f"  {'':20} {'first call':>11} {'steady':>11} {'speedup':>8} {'memory':>10} {'error':>9}"]
        for line in (line for line in cases if line.case.case_id == case_id):
            if line.failure is not None:
                told.append(f"  {line.candidate:20} {line.failure.reason}: {line.failure.message}")
                continue
            found = row(line)
            memory = found["candidate_increment_bytes"]
            told.append(
                f"  {line.candidate:20} {_figure(found['candidate_first_call_s'], '.3f', ' s'):>11} "
                f"{_figure(found['candidate_time_s'], '.5f', ' s'):>11} {_figure(_speedup(line), '.1f', 'x'):>8} "
                f"{_figure(None if memory is None else memory / 2**20, '.1f', ' MiB'):>10} "
                f"{_figure(found['candidate_vs_oracle_max_abs_error'], '.1e'):>9}"
            )
    return told
