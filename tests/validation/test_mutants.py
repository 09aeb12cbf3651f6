import msgspec
import numpy as np
import pytest

from tests.validation.builders import PROVENANCE, SCAN
from tests.validation.children import make_case
from validation import bad_implementations, gallery, kernels, mutants, workloads
from validation.compare import compare
from validation.demo_scan import write_demo_scan
from validation.oracle import extract_patches
from validation.records import (
    ArmMemory,
    ArmTiming,
    CalibrationCheck,
    Equivalence,
    Failure,
    Memory,
    MemoryPair,
    MutantResult,
    Timing,
    TimingPair,
)
from validation.tasks import ProbeReply

OUTPUTS = [mutant.name for mutant in mutants.MUTANTS if mutant.measured == "output"]
CRITERIA = {"correctness", "oracle_agreement", "speed", "cold_speed", "memory", "completeness", "calibration"}


@pytest.fixture(scope="module")
def scan_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    return str(path)


def test_every_shipped_defect_and_every_fault_of_the_method_is_in_the_catalogue():
    assert {f"D{number}" for number in range(1, 11)} <= {mutant.defect for mutant in mutants.MUTANTS}
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)
    assert {mutant.expected_criterion for mutant in mutants.MUTANTS} <= CRITERIA


def test_every_mutant_that_is_an_implementation_can_be_loaded():
    for implementation in mutants.implementations("patch_extraction"):
        assert kernels.find("patch_extraction", implementation.name) == implementation
        assert callable(kernels.load(implementation))
    assert mutants.implementations("reassembly") == ()


def test_a_mutant_is_never_offered_as_a_candidate():
    offered = {found.name for found in kernels.candidates("patch_extraction")}
    assert not offered & {found.name for found in mutants.implementations("patch_extraction")}


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name not in ("unwritten_patch", "fails_when_large")])
def test_a_bad_output_is_bad(scan_path, name):
    case = make_case(pattern="border", batch=51)
    arguments = workloads.build(case, scan_path)
    right = extract_patches(**arguments)
    wrong = np.asarray(getattr(bad_implementations, name)(**arguments))
    assert wrong.shape == right.shape
    assert not compare(right, wrong, expected_name="oracle", actual_name=name, atol=1e-6).passed


@pytest.mark.parametrize("name", ["tiled_object", "mini_batches", "slow_inside", "kept_result", "batch_dependent"])
def test_what_is_bad_in_another_way_has_the_right_output(scan_path, name):
    arguments = workloads.build(make_case(pattern="border"), scan_path)
    found = np.asarray(getattr(bad_implementations, name)(**arguments))
    right = extract_patches(**arguments)
    assert compare(right, found, expected_name="oracle", actual_name=name, atol=1e-6).passed


def test_the_path_that_fails_when_large_is_right_when_small(scan_path):
    import tensorflow as tf

    arguments = workloads.build(make_case(batch=50), scan_path)
    found = np.asarray(bad_implementations.fails_when_large(**arguments))
    assert np.array_equal(found, extract_patches(**arguments))
    with pytest.raises(tf.errors.InvalidArgumentError):
        bad_implementations.fails_when_large(**workloads.build(make_case(batch=51), scan_path))


def _timing(speedup):
    def arm(name, seconds):
        return ArmTiming(
            implementation=name,
            first_call_s=seconds,
            samples_s=(seconds,) * 5,
            calls_per_sample=1,
            involuntary_switches=0,
        )

    pair = TimingPair(order="reference_first", reference=arm("slow", 0.2), candidate=arm("quick", 0.2 / speedup))
    noise = TimingPair(order="reference_first", reference=arm("slow", 0.2), candidate=arm("slow", 0.2))
    return Timing(
        pairs=(pair,) * 7,
        noise_pairs=(noise,) * 7,
        copy_fresh_s=(0.001,) * 5,
        copy_warm_s=(0.001,) * 5,
        contended_rejected=0,
        extended=False,
    )


def _memory(ratio):
    def arm(increment):
        return ArmMemory(implementation="made", baseline_bytes=500_000_000, peak_bytes=500_000_000 + int(increment))

    pair = MemoryPair(reference=arm(1e8), candidate=arm(ratio * 1e8))
    return Memory(meter="VmHWM", pairs=(pair,) * 5, output_bytes=10**7)


def _sound():
    versions = {"python": "3.11.0", "tensorflow": "2.21.0", "numpy": "2.0.0"}
    right = np.ones((2, 4, 4, 1), np.complex64)
    same = compare(right, right, expected_name="oracle", actual_name="batched", atol=1e-6)
    return gallery.Evidence(
        case=gallery.MAIN,
        candidate="batched",
        origin=msgspec.structs.replace(PROVENANCE, versions=versions),
        calibration=(
            CalibrationCheck(instrument="clock", expected=1.0, measured=1.0, limit=0.0, unit="s", passed=True),
        ),
        equivalence=Equivalence(candidate_vs_oracle=same, candidate_vs_reference=same, reference_vs_oracle=same),
        timing=_timing(20),
        memory=_memory(1.0),
        probes=(("order", ProbeReply(passed=True, figure=0.0, limit=0.0, detail="")),),
    )


def _judged(tmp_path, evidence):
    gallery.write_folder(tmp_path / "run", evidence, SCAN, "2026-01-01T00:00:00.000+00:00")
    return gallery.ask_gate(tmp_path / "run")


def test_the_gate_accepts_a_folder_of_sound_evidence(tmp_path):
    verdict = _judged(tmp_path, _sound())
    assert (verdict.outcome, verdict.rejected_by) == ("ACCEPT", ())


@pytest.mark.parametrize(
    ("change", "criterion"),
    [
        ({"timing": _timing(9)}, "speed"),
        ({"memory": _memory(1.3)}, "memory"),
        ({"failure": Failure(reason="timeout", message="still running", arm="x")}, "speed"),
        ({"failure": Failure(reason="out_of_memory", message="none left", arm="x")}, "memory"),
        ({"probes": (("order", ProbeReply(passed=False, figure=3.0, limit=0.0, detail="")),)}, "correctness"),
        ({"never_run": "case-x"}, "completeness"),
    ],
    ids=["nine times", "third more memory", "hang", "no memory", "probe", "missing case"],
)
def test_the_gate_rejects_each_fault_by_its_criterion(tmp_path, change, criterion):
    verdict = _judged(tmp_path, msgspec.structs.replace(_sound(), **change))
    assert verdict.outcome != "ACCEPT"
    assert criterion in verdict.rejected_by
    assert verdict.finding(criterion)


@pytest.mark.parametrize("name", ["bare_claim", "missing_case"])
def test_a_faulty_record_is_rejected_as_incomplete(tmp_path, name):
    mutant = next(mutant for mutant in mutants.MUTANTS if mutant.name == name)
    verdict = _judged(tmp_path, gallery._falsify(_sound(), mutant))
    assert verdict.outcome != "ACCEPT"
    assert "completeness" in verdict.rejected_by


def test_a_gate_that_gives_no_verdict_is_told_apart(tmp_path):
    verdict = gallery.ask_gate(tmp_path / "no-such-folder")
    assert verdict.outcome.startswith("NO_VERDICT: error: ")


@pytest.mark.parametrize(
    ("verdict", "rejected_by", "caught"),
    [
        ("REJECT", ("speed", "cold_speed"), True),
        ("INCONCLUSIVE", ("speed",), True),
        ("REJECT", ("memory",), False),
        ("ACCEPT", ("speed",), False),
        ("NO_VERDICT", (), False),
    ],
)
def test_a_mutant_is_caught_only_by_its_own_criterion(verdict, rejected_by, caught):
    result = MutantResult(
        schema_version="1.0",
        run_id="r",
        started_at="2026-01-01T00:00:00.000+00:00",
        provenance=PROVENANCE,
        mutant="nine_times",
        defect="METHOD",
        description="",
        expected_criterion="speed",
        rejected_by=rejected_by,
        verdict=verdict,
        detail="",
    )
    assert gallery.was_caught(result) is caught


def test_the_hour_of_each_arm_is_shuffled_and_the_same_every_time():
    rounds = gallery._rounds(7, ("a", "b", "c"), "purpose")
    assert rounds == gallery._rounds(7, ("a", "b", "c"), "purpose")
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len({tuple(order) for order in rounds}) > 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_gallery_is_rejected_for_its_reasons_and_the_control_accepted(scan_path, tmp_path):
    from validation.measure import Bench
    from validation.runner import LocalExecutor

    origin = _sound().origin
    head = {
        "schema_version": "1.0",
        "run_id": "r",
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "provenance": origin,
    }
    with LocalExecutor(tmp_path, mode="fork", threads=2, memory_limit_bytes=4 * 2**30) as executor:
        bench = Bench(
            executor,
            scan_path=scan_path,
            ptycho_path=None,
            protocol=gallery.PROTOCOL,
            scratch=tmp_path,
            timeout_s=120.0,
        )
        found = gallery.run_mutants(
            bench, scan=SCAN, origin=origin, folder=tmp_path / "gallery", line_fields=lambda: head
        )
    assert found.control_verdict == "ACCEPT", found.control_rejected_by
    assert [result.mutant for result in found.mutants if not gallery.was_caught(result)] == []
    assert len(found.mutants) == len(mutants.MUTANTS)
    assert found.sound
