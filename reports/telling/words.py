"""The words of criteria and states, the same wherever a verdict is shown."""

from __future__ import annotations

from reports.reading.verdict import CriterionId, State

TITLES: dict[CriterionId, str] = {
    "correctness": "Correctness",
    "oracle_agreement": "Oracle agreement",
    "speed": "Speed",
    "cold_speed": "Cold speed",
    "memory": "Memory",
    "reassembly": "Reassembly",
    "completeness": "Completeness",
    "calibration": "Calibration",
    "mutants": "Known-bad implementations",
    "suite": "Test suite",
}

# What each criterion means, and why it has its threshold.
MEANINGS: dict[CriterionId, str] = {
    "correctness": "The new implementation must give the numbers of the old one, at every size, dtype and edge; "
    "a millionth was promised before anything was measured, and raising it is how a wrong kernel once shipped.",
    "oracle_agreement": "Two implementations can be wrong together, so both are held to a third one that shares "
    "no code with them and computes in double precision.",
    "speed": "The time of a call once everything is warm; ten times was promised for 5000 groups, and the lower "
    "end of the measured interval must reach it, so that noise is wrong in one run of a hundred at most.",
    "cold_speed": "The time of the first call in a fresh process, whatever it compiles; data preparation calls "
    "the kernel once or twice, so this is what a user waits for.",
    "memory": "The highest point the memory reaches during a call; a fifth more than the old implementation is "
    "allowed, because a fast kernel that needs far more fails on large scans.",
    "reassembly": "Putting patches back is the twin of cutting them out; 20 to 44 times the speed of its loop was "
    "promised from 500 patches on. It is among the promises of the same change, so it blocks ACCEPT like the others.",
    "completeness": "A run that skipped its hard cases, or cannot say where its numbers come from, proves nothing; "
    "so everything planned must be there.",
    "calibration": "An instrument that cannot read a known quantity cannot read an unknown one; each is allowed "
    "the deviation given in its row.",
    "mutants": "A gate that was never seen to fail proves nothing; so kernels with a known defect go through it, "
    "and each must be stopped by the criterion that is there for it.",
    "suite": "The rest of the package must not notice the flag, so its own tests pass with it off and on.",
}

# A sign beside the word, so that colour never speaks alone.
SIGNS: dict[State, str] = {"pass": "✓", "fail": "✗", "inconclusive": "?", "missing": "○", "not_judged": "-"}

STATE_WORDS: dict[State, str] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "inconclusive",
    "missing": "missing",
    "not_judged": "not judged",
}
