import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.validation.builders import PROVENANCE, SCAN
from tests.validation.children import make_case
from validation.child import calibration
from validation.contract.lines import CalibrationCheck, MutantResult
from validation.contract.measurements import (
    ArmMemory,
    ArmTiming,
    Audit,
    Equivalence,
    Failure,
    Memory,
    MemoryPair,
    Timing,
)
from validation.contract.tasks import PropertyReply
from validation.gallery import bench as gallery_bench
from validation.gallery import evidence as gallery_evidence
from validation.gallery import session as gallery
from validation.kernels import registry
from validation.kernels.loading import load
from validation.kernels.patches import bad_implementations, bad_placements, mutants, workloads
from validation.kernels.patches.case import of
from validation.kernels.patches.oracle import extract_patches, shift_and_sum
from validation.kernels.registry import Kernels
from validation.measure.bench import Bench
from validation.measure.runner import LocalExecutor
from validation.outputs.compare import compare
from validation.outputs.tree import Tree
from validation.plan.sweeps import find_case
from validation.run.reproduce import _cases_of
from validation.run.results import RunFolder
from validation.subject.broken_checkout import break_checkout
from validation.subject.package import find as find_ptycho
from validation.subject.suite import SuiteOutcome, run_suite

KERNELS = Kernels(registry.built_in())
MAIN, PROBED = mutants.EXTRACTION.main, mutants.EXTRACTION.probed
PLACED, PLACED_PROMISED = mutants.PLACEMENT.main, mutants.PLACEMENT.promised
OUTPUTS = {
    kernel.name: [mutant.name for mutant in kernel.mutants if mutant.measured in ("output", "together")]
    for kernel in KERNELS
}
CRITERIA = {
    "correctness",
    "speed",
    "cold_speed",
    "memory",
    "completeness",
    "oracle_agreement",
    "mutants",
    "calibration",
    "suite",
    "reassembly",
}


def passes(right, found, name):
    """Whether an array is close enough to the right one."""
    both = Tree.of(right), Tree.of(found)
    return compare(*both, expected_name="oracle", actual_name=name, atol=1e-6).passed


def test_every_shipped_defect_and_every_fault_of_the_method_is_in_the_catalogue():
    assert {f"D{number}" for number in range(1, 11)} <= {mutant.defect for mutant in mutants.MUTANTS}
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)


def test_every_criterion_of_the_gate_has_a_mutant_that_it_must_reject():
    assert {mutant.expected_criterion for mutant in mutants.MUTANTS} == CRITERIA


def test_both_kernels_have_mutants():
    assert len(OUTPUTS["patch_extraction"]) >= 12
    assert len(OUTPUTS["reassembly"]) >= 5


@pytest.mark.parametrize("kernel", list(KERNELS), ids=lambda kernel: kernel.name)
def test_every_mutant_that_is_an_implementation_can_be_loaded(kernel):
    found = registry._mutants(kernel)
    assert len(found) > len(OUTPUTS[kernel.name])
    assert {mutant.name for mutant in kernel.mutants if mutant.module} <= {made.name for made in found}
    assert {mutant.standard for mutant in kernel.mutants if mutant.standard} <= {made.name for made in found}
    for implementation in found:
        assert registry.find(kernel, implementation.name) == implementation
        assert callable(load(implementation))


@pytest.mark.parametrize("kernel", list(KERNELS), ids=lambda kernel: kernel.name)
def test_a_mutant_is_never_offered_as_a_candidate(kernel):
    offered = {found.name for found in registry.candidates(kernel)}
    assert not offered & {found.name for found in registry._mutants(kernel)}


@pytest.mark.parametrize("name", OUTPUTS["reassembly"])
def test_a_bad_placement_is_bad(scan_path, name):
    arguments = workloads.build(of(PLACED), scan_path)
    right = shift_and_sum(**arguments)
    wrong = np.asarray(getattr(bad_placements, name)(**arguments))
    assert wrong.shape == right.shape
    assert not passes(right, wrong, name)


@pytest.mark.tensorflow
def test_a_canvas_for_each_patch_gives_the_right_sum(scan_path):
    arguments = workloads.build(of(make_case(kernel="reassembly", gridsize=1, batch=9, pattern="fermat")), scan_path)
    found = np.asarray(bad_placements.canvas_per_patch(**arguments))
    assert passes(shift_and_sum(**arguments), found, "canvas_per_patch")


def test_what_places_about_the_middle_is_right_but_for_the_defects_it_serves(scan_path):
    arguments = workloads.build(of(PLACED), scan_path)
    right = shift_and_sum(**arguments)
    adjusted = bad_placements._adjusted(arguments)
    placed = bad_placements._about_the_middle(arguments["obj_tensor"], adjusted, arguments["M"], len(right))
    assert np.array_equal(placed, right)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name", [name for name in OUTPUTS["patch_extraction"] if name not in ("unwritten_patch", "fails_when_large")]
)
def test_a_bad_output_is_bad(scan_path, name):
    case = make_case(pattern="border", batch=51)
    arguments = workloads.build(of(case), scan_path)
    right = extract_patches(**arguments)
    wrong = np.asarray(load(registry.find(KERNELS["patch_extraction"], name))(**arguments))
    assert wrong.shape == right.shape
    assert not passes(right, wrong, name)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name",
    [
        "tiled_object",
        "mini_batches",
        "slow_inside",
        "kept_result",
        "batch_dependent",
        "order_dependent",
        "thread_dependent",
    ],
)
def test_what_is_bad_in_another_way_has_the_right_output(scan_path, name):
    arguments = workloads.build(of(make_case(pattern="border")), scan_path)
    found = np.asarray(getattr(bad_implementations, name)(**arguments))
    assert passes(extract_patches(**arguments), found, name)


@pytest.mark.tensorflow
def test_the_path_that_fails_when_large_is_right_when_small(scan_path):
    import tensorflow as tf

    arguments = workloads.build(of(make_case(batch=50)), scan_path)
    found = np.asarray(bad_implementations.fails_when_large(**arguments))
    assert np.array_equal(found, extract_patches(**arguments))
    with pytest.raises(tf.errors.InvalidArgumentError):
        bad_implementations.fails_when_large(**workloads.build(of(make_case(batch=51)), scan_path))


def _bench(executor, scan_path, scratch):
    return Bench(
        executor,
        scan_path=scan_path,
        kernels=KERNELS,
        protocol=gallery_bench.PROTOCOL,
        scratch=scratch,
        timeout_s=120.0,
    )


def _room(kernel, candidate="batched"):
    """The gallery of a kernel, where nothing is measured yet."""
    return gallery._Room(_bench(None, None, None), KERNELS[kernel], candidate, [])


def _audits():
    right = Tree.of(np.ones((2, 4, 4, 1), np.complex64))
    same = compare(right, right, expected_name="oracle", actual_name="batched", atol=1e-6)
    return (Audit(call=0, entropy="00", comparison=same),)


def _timing(speedup):
    def arm(name, seconds):
        return ArmTiming(
            implementation=name,
            first_call_s=seconds,
            samples_s=(seconds,) * 5,
            calls_per_sample=2,
            involuntary_switches=0,
            audits=_audits(),
        )

    return Timing(
        references=(arm("slow", 0.2),) * 7,
        candidates=(arm("quick", 0.2 / speedup),) * 28,
        copy_fresh_s=(0.001,) * 5,
        copy_warm_s=(0.001,) * 5,
        contended_rejected=0,
        extended=False,
    )


def _memory(ratio):
    def arm(increment):
        return ArmMemory(
            implementation="made", baseline_bytes=500_000_000, peak_bytes=500_000_000 + int(increment), audits=_audits()
        )

    pair = MemoryPair(reference=arm(1e8), candidate=arm(ratio * 1e8))
    return Memory(meter="VmHWM", pairs=(pair,) * 5, output_bytes=10**7)


def _sound():
    versions = {"python": "3.11.0", "tensorflow": "2.21.0", "numpy": "2.0.0"}
    right = Tree.of(np.ones((2, 4, 4, 1), np.complex64))
    same = compare(right, right, expected_name="oracle", actual_name="batched", atol=1e-6)
    return gallery_evidence.Evidence(
        cards=tuple(kernel.card() for kernel in KERNELS),
        case=MAIN,
        candidate="batched",
        judged=KERNELS["patch_extraction"].judged(MAIN),
        origin=msgspec.structs.replace(PROVENANCE, versions=versions),
        calibration=(
            CalibrationCheck(instrument="clock", expected=1.0, measured=1.0, limit=0.0, unit="s", passed=True),
        ),
        equivalence=Equivalence(candidate_vs_oracle=same, candidate_vs_reference=same, reference_vs_oracle=same),
        timing=_timing(20),
        memory=_memory(1.0),
        properties=(("order", PropertyReply(passed=True, figure=0.0, limit=0.0, detail="")),),
        probed=PROBED,
    )


def _written(path, evidence, command="python -m validation mutants"):
    gallery_evidence.write_folder(path, evidence, SCAN, "2026-01-01T00:00:00.000+00:00", command)
    return RunFolder.open(path)


def _judged(tmp_path, evidence):
    _written(tmp_path / "run", evidence)
    return gallery_evidence.ask_gate(tmp_path / "run")


def _promised(speedup):
    (item,) = KERNELS["reassembly"].judged(PLACED_PROMISED)
    return item, PLACED_PROMISED, _timing(speedup)


def test_the_gate_accepts_a_folder_of_sound_evidence(tmp_path):
    verdict = _judged(tmp_path, _sound())
    assert (verdict.outcome, verdict.rejected_by) == ("ACCEPT", ())


@pytest.mark.parametrize(("name", "ending"), [("nine_times", " --only nine_times"), (None, "--out runs/mutants")])
def test_the_command_of_a_folder_makes_it_again(tmp_path, name, ending):
    command = gallery.command_of(name)
    assert command.startswith("python -m validation mutants --out ")
    assert command.endswith(ending)
    assert _written(tmp_path / "run", _sound(), command).manifest.command == command


def test_every_case_of_a_folder_is_found_by_its_id(tmp_path):
    folder = _written(tmp_path / "run", msgspec.structs.replace(_sound(), promised=_promised(40)))
    for case in (MAIN, PROBED, PLACED_PROMISED):
        assert find_case(case.case_id, KERNELS, SCAN, _cases_of(folder)) == case


def _suite(failed):
    return SuiteOutcome(passed=5, failed=failed, skipped=0, command="pytest")


def _escaped(verdict="ACCEPT", rejected_by=()):
    return MutantResult(
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


def test_the_gate_accepts_a_folder_with_all_that_some_folders_have(tmp_path):
    changed = msgspec.structs.replace(
        _sound(),
        promised=_promised(40),
        suites=(("off", _suite(0)), ("on", _suite(0))),
        let_through=_escaped("REJECT", ("speed",)),
    )
    verdict = _judged(tmp_path, changed)
    assert (verdict.outcome, verdict.rejected_by) == ("ACCEPT", ())


@pytest.mark.parametrize(
    ("change", "criterion"),
    [
        ({"promised": _promised(2)}, "reassembly"),
        ({"suites": (("off", _suite(0)), ("on", _suite(1)))}, "suite"),
        ({"let_through": _escaped()}, "mutants"),
        ({"calibration": (calibration.check("memory: TensorFlow", 2.0**28, 0.0, 0.02, "bytes"),)}, "calibration"),
        ({"timing": _timing(9)}, "speed"),
        ({"memory": _memory(1.3)}, "memory"),
        ({"failure": Failure(reason="timeout", message="still running", arm="x")}, "speed"),
        ({"failure": Failure(reason="out_of_memory", message="none left", arm="x")}, "memory"),
        ({"properties": (("order", PropertyReply(passed=False, figure=3.0, limit=0.0, detail="")),)}, "correctness"),
        ({"never_run": "case-x"}, "completeness"),
    ],
    ids=[
        "placed twice as fast",
        "suite",
        "escaped mutant",
        "blind meter",
        "nine times",
        "third more memory",
        "hang",
        "no memory",
        "property",
        "missing case",
    ],
)
def test_the_gate_rejects_each_fault_by_its_criterion(tmp_path, change, criterion):
    verdict = _judged(tmp_path, msgspec.structs.replace(_sound(), **change))
    assert verdict.outcome != "ACCEPT"
    assert criterion in verdict.rejected_by
    assert verdict.finding(criterion)


@pytest.mark.parametrize("name", ["bare_claim", "missing_case"])
def test_a_faulty_record_is_rejected_as_incomplete(tmp_path, name):
    mutant = next(mutant for mutant in mutants.MUTANTS if mutant.name == name)
    verdict = _judged(tmp_path, _room("patch_extraction")._falsify(_sound(), mutant))
    assert verdict.outcome != "ACCEPT"
    assert "completeness" in verdict.rejected_by


def test_a_gate_that_gives_no_verdict_is_told_apart(tmp_path):
    verdict = gallery_evidence.ask_gate(tmp_path / "no-such-folder")
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
    assert _escaped(verdict, rejected_by).caught is caught


@pytest.mark.parametrize(
    ("because", "rejected_by"), [("gave no result", ("speed",)), ("9.02x", ("speed",)), ("by the server's clock", ())]
)
def test_a_mutant_that_is_stopped_for_another_reason_is_missed(because, rejected_by):
    found = "candidate nine_times gave no result: 9.02x"
    verdict = gallery_evidence.Verdict(
        outcome="REJECT", rejected_by=("speed",), criteria=(gallery_evidence._Criterion(id="speed", finding=found),)
    )
    nine_times = next(mutant for mutant in mutants.MUTANTS if mutant.name == "nine_times")
    fields = {"schema_version": "1.0", "run_id": "r", "started_at": "now", "provenance": PROVENANCE}
    result = gallery._result(msgspec.structs.replace(nine_times, because=because), verdict, fields)
    assert result.rejected_by == rejected_by
    assert result.caught is bool(rejected_by)
    assert found in result.detail


@pytest.mark.slow
def test_the_broken_checkout_passes_its_suite_with_the_flag_off_and_fails_it_with_the_flag_on(tmp_path):
    checkout = break_checkout(find_ptycho(None), tmp_path / "broken")
    found = {flag: run_suite(checkout, flag, {}, 120.0) for flag in ("off", "on")}
    assert {flag: (outcome.passed, outcome.failed) for flag, outcome in found.items()} == {"off": (1, 0), "on": (0, 1)}


@pytest.mark.tensorflow
def test_tracemalloc_reads_the_block_of_numpy_and_nothing_of_the_one_of_tensorflow():
    readings = bad_implementations.tracemalloc_meter()
    assert readings[0] == pytest.approx(calibration.BLOCK_BYTES, rel=0.02)
    assert readings[1] < 0.02 * calibration.BLOCK_BYTES


def test_the_hour_of_each_arm_is_shuffled_and_the_same_every_time():
    rounds = gallery_bench.rounds(7, ("a", "b", "c"), "purpose")
    assert rounds == gallery_bench.rounds(7, ("a", "b", "c"), "purpose")
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len({tuple(order) for order in rounds}) > 1


def test_the_control_of_reassembly_is_the_project_s_where_the_candidate_only_extracts(monkeypatch):
    monkeypatch.setattr(registry, "registered", lambda: {"windows": "my_windows:windows"})
    assert _room("reassembly", "mine:function").candidate == "batched"
    assert _room("reassembly", "batched_xla").candidate == "batched"
    assert _room("reassembly", "batched_graph").candidate == "batched_graph"
    assert _room("patch_extraction", "mine:function").candidate == "mine:function"
    assert _room("patch_extraction", "windows").candidate == "windows"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_control_that_is_known_bad_is_an_instrument_failure(tmp_path):
    bad = "validation.kernels.patches.bad_implementations:swapped_axes"
    command = ["mutants", "--only", "one_element", "--candidate", bad, "--out", str(tmp_path / "gallery")]
    done = subprocess.run([sys.executable, "-m", "validation", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "the true candidate: REJECT (correctness" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_gallery_is_rejected_for_its_reasons_and_the_control_accepted(scan_path, tmp_path):
    origin = _sound().origin
    head = {
        "schema_version": "1.0",
        "run_id": "r",
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "provenance": origin,
    }
    with LocalExecutor(
        tmp_path, mode="fork", threads=2, memory_limit_bytes=4 * 2**30, preload=KERNELS.preload
    ) as executor:
        bench = _bench(executor, scan_path, tmp_path)
        found = gallery.run_mutants(
            bench,
            scan=SCAN,
            origin=origin,
            folder=tmp_path / "gallery",
            line_fields=lambda: head,
            candidate="batched",
        )
    assert found.control_verdict == "ACCEPT", found.control_rejected_by
    assert [result.mutant for result in found.mutants if not result.caught] == []
    assert len(found.mutants) == len(mutants.MUTANTS)
    assert found.sound
