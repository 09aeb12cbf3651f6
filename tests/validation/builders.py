"""Records of a made-up run, for tests of what reads and writes them."""

import msgspec

from validation.contract.cases import Case, Protocol
from validation.contract.lines import CalibrationCheck, CalibrationResult, CaseResult
from validation.contract.manifest import SCHEMA_VERSION, Machine, Manifest, Planned, Provenance, Scan
from validation.contract.measurements import Comparison, Equivalence, Failure, Measurement
from validation.kernels.patches.kernel import PatchExtraction

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
SCAN = Scan(name="built-in scan", path=None, sha256="0" * 64, object_shape=(200, 256), positions=900)
PROVENANCE = Provenance(
    commit="a" * 40,
    dirty=False,
    commit_subject="A subject",
    kernel_digest="d" * 64,
    package_path="installed",
    machine=Machine(
        fingerprint="f" * 16,
        cpu_model="A processor",
        isa_flags=("avx2",),
        cores=2,
        memory_bytes=2**34,
        os_release="6.1",
        governor=None,
    ),
    versions={"python": "3.11.0"},
    threads={"OMP_NUM_THREADS": "2"},
)


CARD = PatchExtraction().card()


def make_case(name="case-0", *, seed=0, **changes):
    params = {
        "N": 64, "gridsize": 2, "batch": 10, "dtype": "complex64", "height": 200, "width": 256, "pattern": "fermat",
        **changes,
    }  # fmt: skip
    work = params["batch"] * params["gridsize"] ** 2
    return Case(case_id=name, kernel="patch_extraction", params=params, seed=seed, work=work)


def make_comparison(expected="oracle", actual="batched", **changes):
    found = Comparison(
        expected=expected,
        actual=actual,
        atol=1e-6,
        passed=True,
        elements=163840,
        expected_shape=(10, 64, 64, 4),
        actual_shape=(10, 64, 64, 4),
        expected_dtype="complex64",
        actual_dtype="complex64",
        max_abs_error=1.2e-7,
        max_ulp=1,
        identical_share=0.5,
        worst_index=(0, 1, 2, 3),
        nan_count=0,
        inf_count=0,
    )
    return msgspec.structs.replace(found, **changes)


def make_manifest(cases=("case-0",), run_id="run-1", **changes):
    planned = tuple(Planned(key=f"{name}|batched", kind="case") for name in cases)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        created_at="2026-01-01T00:00:00.000+00:00",
        sweep="smoke",
        provisional=True,
        seed=0,
        command="python -m validation run",
        scan=SCAN,
        kernels=(CARD,),
        cases=tuple(make_case(name) for name in cases),
        judged=PatchExtraction().judged(make_case(cases[0])),
        candidate="batched",
        planned=(Planned(key="calibration", kind="calibration"), *planned),
        protocol=PROTOCOL,
        provenance=PROVENANCE,
    )
    return msgspec.structs.replace(manifest, **changes)


def _head(run_id):
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "provenance": PROVENANCE,
    }


def make_result(name="case-0", run_id="run-1", failure=None, error=1.2e-7, passed=True):
    """A case result: measured, or failed with the given reason."""
    measurement = Measurement(
        equivalence=Equivalence(
            candidate_vs_oracle=make_comparison(max_abs_error=error, passed=passed),
            candidate_vs_reference=make_comparison("reference", max_abs_error=0.0, identical_share=1.0, max_ulp=0),
            reference_vs_oracle=make_comparison(actual="reference", max_abs_error=error),
        )
    )
    return CaseResult(
        case=make_case(name),
        candidate="batched",
        role="candidate",
        checks=("equivalence",),
        wall_s=2.0,
        measured_s=1.0,
        measurement=None if failure else measurement,
        failure=Failure(reason=failure, message="a message") if failure else None,
        **_head(run_id),
    )


def make_calibration(run_id="run-1", passed=True):
    check = CalibrationCheck(instrument="clock", expected=0.05, measured=0.0501, limit=0.02, unit="s", passed=passed)
    return CalibrationResult(checks=(check,), **_head(run_id))
