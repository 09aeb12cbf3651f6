from __future__ import annotations

import inspect
import json
from pathlib import Path

import msgspec
import pytest

from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading import evidence
from reports.reading.run import Run
from tests.reports import builders as b

POLICY = read_policy()


def recorded(tmp_path: Path, *runs: Run) -> tuple[evidence.Evidence, ...]:
    for run in runs:
        evidence.record(judge(run, POLICY), tmp_path)
    return evidence.recorded(tmp_path)


def run_at(created_at: str, run_id: str, **reference: object) -> Run:
    run = b.full_run(**reference)
    return msgspec.structs.replace(
        run, manifest=msgspec.structs.replace(run.manifest, created_at=created_at, run_id=run_id)
    )


def test_the_default_of_the_flag_rests_on_the_newest_recorded_verdict_of_each_scan() -> None:
    import ptycho
    from ptycho.config.config import ModelConfig
    from validation.subject import package

    default = inspect.signature(ModelConfig).parameters[evidence.subject().flag].default
    digest = package.digest(Path(ptycho.__file__).parent)
    assert evidence.objection(default, digest, evidence.recorded(), evidence.flipped_by()) is None


def test_a_recorded_verdict_reads_back(tmp_path: Path) -> None:
    (found,) = recorded(tmp_path, b.full_run())
    assert found.outcome == "ACCEPT"
    assert found.kernel_digest == b.PROVENANCE.kernel_digest
    assert found.value("speed") == pytest.approx(38.64, abs=0.1)


def test_the_default_may_be_true_only_with_an_accept_of_the_present_sources(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    good = run_at("2026-11-20T10:00:00+00:00", "a")
    assert "is on record" in str(evidence.objection(True, digest, (), "a"))
    assert evidence.objection(False, digest, ()) is None
    found = recorded(tmp_path, good)
    assert evidence.objection(True, digest, found, "a") is None
    assert "measure again" in str(evidence.objection(True, "another", found, "a"))
    assert "must hold the id of the recorded run that flipped it, got None" in str(
        evidence.objection(True, digest, found)
    )
    found = recorded(tmp_path, run_at("2026-11-21T10:00:00+00:00", "b", timing=b.timing(2.0)))
    assert "is REJECT" in str(evidence.objection(True, digest, found, "a"))
    assert "python -m validation run" in str(evidence.objection(True, digest, found, "a"))


def test_after_the_flip_the_default_may_be_false_only_with_a_verdict_against_it(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    found = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    assert evidence.objection(False, digest, found) is None
    assert "without a verdict against it" in str(evidence.objection(False, digest, found, "a"))
    assert "without a verdict against it" in str(evidence.objection(False, "another", found, "a"))
    found = recorded(tmp_path, run_at("2026-11-21T10:00:00+00:00", "b", timing=b.timing(2.0)))
    assert evidence.objection(False, digest, found, "a") is None


def test_a_reject_on_one_scan_stands_until_a_newer_verdict_on_that_scan(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (accept,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    reject = msgspec.structs.replace(accept, scan="real.npz", outcome="REJECT", run_id="b")
    hiding = (accept, reject, msgspec.structs.replace(accept, run_id="c"))
    told = str(evidence.objection(True, digest, hiding, "a"))
    assert "the newest recorded verdict on real.npz is REJECT (run b); set it to False" in told
    assert evidence.objection(False, digest, hiding, "a") is None
    answered = (*hiding, msgspec.structs.replace(reject, outcome="ACCEPT", run_id="d"))
    assert evidence.objection(True, digest, answered, "a") is None
    assert "without a verdict against it" in str(evidence.objection(False, digest, answered, "a"))


def test_every_scan_that_speaks_against_the_default_is_named(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (accept,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    others = [
        msgspec.structs.replace(accept, scan=f"{outcome}.npz", outcome=outcome, run_id=outcome[:2])
        for outcome in ("REJECT", "INCONCLUSIVE")
    ]
    told = str(evidence.objection(True, digest, (accept, *others), "a"))
    assert "on REJECT.npz is REJECT (run RE) and on INCONCLUSIVE.npz is INCONCLUSIVE (run IN)" in told
    undecided = (accept, others[1])
    assert "without a verdict against it" in str(evidence.objection(False, digest, undecided, "a"))


def test_a_verdict_on_other_sources_does_not_speak_against_the_default(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (accept,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    theirs = msgspec.structs.replace(accept, kernel_digest="another", outcome="REJECT", run_id="b")
    assert evidence.objection(True, digest, (accept, theirs), "a") is None
    assert evidence.objection(True, digest, (theirs, accept), "a") is None
    assert "measure again" in str(evidence.objection(True, "a third", (accept, theirs), "a"))


def test_the_run_that_flipped_the_default_is_an_accept_of_whatever_sources(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (accept,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "b"))
    flip = msgspec.structs.replace(accept, kernel_digest="before", run_id="a")
    assert evidence.objection(True, digest, (flip, accept), "a") is None
    rejected = msgspec.structs.replace(flip, outcome="REJECT")
    assert "must hold the id of a recorded ACCEPT, but run a is REJECT" in str(
        evidence.objection(True, digest, (rejected, accept), "a")
    )


def test_a_verdict_on_another_candidate_neither_backs_the_default_nor_speaks_against_it(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (found,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    theirs = msgspec.structs.replace(found, candidate="windows:patches", run_id="b")
    assert "no verdict on batched is on record" in str(evidence.objection(True, digest, (theirs,), "b"))
    rejected = msgspec.structs.replace(theirs, outcome="REJECT")
    assert evidence.objection(True, digest, (found, rejected), "a") is None


def test_a_verdict_on_another_kernel_says_nothing_of_the_flag(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    (found,) = recorded(tmp_path, run_at("2026-11-20T10:00:00+00:00", "a"))
    theirs = msgspec.structs.replace(found, kernels=("sorting",), run_id="b")
    assert "no verdict on batched is on record" in str(evidence.objection(True, digest, (theirs,), "b"))
    rejected = msgspec.structs.replace(theirs, outcome="REJECT")
    assert evidence.objection(True, digest, (found, rejected), "a") is None


def as_of_version_1(path: Path) -> None:
    """Write a recorded verdict as version 1.0 did: it named the judged case, and neither kernels nor promises."""
    plain = json.loads(path.read_text())
    first = plain.pop("judged")[0]["case_id"]
    for name in ("kernels", "promise_digests"):
        plain.pop(name)
    path.write_text(json.dumps(plain | {"evidence_version": "1.0", "reference_case_id": first}))


def test_verdicts_of_version_1_are_about_the_flags_kernel_and_are_what_they_were(tmp_path: Path) -> None:
    digest = b.PROVENANCE.kernel_digest
    path = evidence.record(judge(run_at("2026-11-20T10:00:00+00:00", "a"), POLICY), tmp_path)
    (present,) = evidence.recorded(tmp_path)
    as_of_version_1(path)
    (old,) = evidence.recorded(tmp_path)
    assert (old.evidence_version, old.kernels, old.judged) == ("1.0", (), ())
    assert (old.outcome, old.criteria, old.kernel_digest) == (present.outcome, present.criteria, present.kernel_digest)
    assert evidence.objection(True, digest, (old,), "a") is None
    # Recorded again it is the same verdict; another one of the same run is not.
    before = path.read_text()
    evidence.record(judge(run_at("2026-11-20T10:00:00+00:00", "a"), POLICY), tmp_path)
    assert path.read_text() == before
    with pytest.raises(InputError, match="never overwritten"):
        evidence.record(judge(run_at("2026-11-20T10:00:00+00:00", "a", timing=b.timing(2.0)), POLICY), tmp_path)


def test_the_recorded_verdicts_of_the_repository_are_read() -> None:
    found = evidence.recorded()
    old = {item.run_id: item for item in found if item.evidence_version == "1.0"}
    assert len(old) >= 8
    assert all(evidence.subject().is_of(item) and item.value("speed") is not None for item in old.values())
    last = old["20261128T062020Z-c3d7cc99"]
    assert (last.outcome, last.scan, last.value("reassembly")) == ("ACCEPT", "run1084.npz", 224.96056649507963)


def test_a_recorded_verdict_names_kernels_judged_figures_and_the_files_of_their_promises(tmp_path: Path) -> None:
    cards = tuple(msgspec.structs.replace(card, promise_digest=f"of {card.name}") for card in b.kernels())
    run = b.make(b.lines_of_full_run(), kernels=cards)
    (found,) = recorded(tmp_path, run)
    assert found.evidence_version == "2.0"
    assert found.kernels == ("patch_extraction", "reassembly")
    assert found.judged == run.manifest.judged
    assert found.promise_digests == {"patch_extraction": "of patch_extraction", "reassembly": "of reassembly"}


def test_the_run_that_flipped_the_default_is_named_in_a_file(tmp_path: Path) -> None:
    assert evidence.flipped_by(tmp_path) is None
    (tmp_path / evidence.subject().flipped).write_text("20261121T010203Z-abc\n")
    assert evidence.flipped_by(tmp_path) == "20261121T010203Z-abc"


def test_the_newest_is_by_date_and_not_by_name(tmp_path: Path) -> None:
    late, early = "2026-11-21T10:00:00+02:00", "2026-11-21T07:59:00Z"
    found = recorded(tmp_path, run_at(late, "a"), run_at(early, "b", timing=b.timing(2.0)))
    assert found[-1].run_id == "a"


def with_provenance(**fields: object) -> Run:
    run = b.full_run()
    origin = msgspec.structs.replace(b.PROVENANCE, **fields)
    return msgspec.structs.replace(run, manifest=msgspec.structs.replace(run.manifest, provenance=origin))


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (b.quick_run(), "provisional"),
        (with_provenance(dirty=True), "uncommitted"),
        (with_provenance(commit=None), "no commit"),
        (with_provenance(reference_digest="0123456789ab"), "given by --reference"),
        (with_provenance(reference_path="/elsewhere"), "an implementation from /elsewhere"),
        (with_provenance(candidate_path="/elsewhere"), "an implementation from /elsewhere"),
        (b.make([b.calibration()]), "no verdict at all"),
    ],
)
def test_what_is_no_evidence_is_not_recorded(tmp_path: Path, run: Run, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        evidence.record(judge(run, POLICY), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_relaxed_verdict_is_not_recorded(tmp_path: Path) -> None:
    looser = msgspec.structs.replace(POLICY, atol=1e-3)
    with pytest.raises(InputError, match="relaxed"):
        evidence.record(judge(b.full_run(), looser), tmp_path)


def test_evidence_is_never_overwritten(tmp_path: Path) -> None:
    recorded(tmp_path, b.full_run())
    recorded(tmp_path, b.full_run())
    with pytest.raises(InputError, match="never overwritten"):
        recorded(tmp_path, b.full_run(timing=b.timing(2.0)))


def test_a_file_that_is_no_verdict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="not a recorded verdict"):
        evidence.recorded(tmp_path)
