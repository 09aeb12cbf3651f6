"""The words of criteria and states, the same wherever a verdict is shown; a kernel's own go before them."""

from __future__ import annotations

from reports.reading.verdict import Criterion, State

TITLES = {
    "correctness": "Correctness",
    "oracle_agreement": "Oracle agreement",
    "speed": "Speed",
    "cold_speed": "Cold speed",
    "memory": "Memory",
    "completeness": "Completeness",
    "calibration": "Calibration",
    "mutants": "Known-bad implementations",
    "suite": "Test suite",
}

# What each criterion means, and why it is there.
MEANINGS = {
    "correctness": "The new implementation must give the results of the old one, at every case that is measured; "
    "the tolerance was promised before anything was measured.",
    "oracle_agreement": "Two implementations can be wrong together, so both are held to a third one that shares "
    "no code with them and computes in double precision.",
    "speed": "The time of a call once everything is warm; the lower end of the measured interval must reach what was "
    "promised, so that noise is wrong in one run of a hundred at most.",
    "cold_speed": "The time of the first call in a fresh process, whatever it compiles; this is what a user waits for "
    "who calls it once or twice.",
    "memory": "The highest point the memory reaches during a call; a fast implementation that needs far more than the "
    "old one fails on large inputs.",
    "completeness": "A run that skipped its hard cases, or cannot say where its numbers come from, proves nothing; "
    "so everything planned must be there.",
    "calibration": "An instrument that cannot read a known quantity cannot read an unknown one; each is allowed "
    "the deviation given in its row.",
    "mutants": "A gate that was never seen to fail proves nothing; so kernels with a known defect go through it, "
    "and each must be stopped by the criterion that is there for it.",
    "suite": "The rest of the package must not notice the flag, so its own tests pass with it off and on.",
}


def title(criterion: Criterion) -> str:
    """Title of a criterion."""
    return criterion.title or TITLES.get(criterion.id) or criterion.id.replace("_", " ").capitalize()


def meaning(criterion: Criterion) -> str:
    """Say what a criterion means; where nobody did, that it was promised."""
    return criterion.meaning or MEANINGS.get(criterion.id) or "It is among the figures that were promised."


# A sign beside the word, so that colour never speaks alone.
SIGNS: dict[State, str] = {"pass": "✓", "fail": "✗", "inconclusive": "?", "missing": "○", "not_judged": "-"}

STATE_WORDS: dict[State, str] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "inconclusive",
    "missing": "missing",
    "not_judged": "not judged",
}
