"""Results as a table of pandas."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import reports
from reports.errors import InputError
from reports.judging.times import speedup
from tests.reports import builders as b
from tests.reports import strangers
from validation.contract.lines import CaseResult
from validation.contract.measurements import Measurement


def test_a_row_has_every_figure_of_a_case(tmp_path: Path) -> None:
    run = b.full_run()
    table = reports.frame(b.write(run, tmp_path / "run"))
    assert list(table.case_id) == [line.case.case_id for line in run.cases]
    row = table.set_index("case_id").loc[b.case().case_id]
    assert (row.kernel, row.N, row.gridsize, row["dtype"], row.work) == ("patch_extraction", 64, 2, "complex64", 20_000)
    assert (row.candidate, row.role, bool(row.passed), row.seed) == ("batched", "candidate", True, 0)
    assert (row.candidate_vs_reference_max_abs_error, row.candidate_vs_oracle_max_abs_error) == (0.0, 2e-7)
    timing = run.cases[-1].measurement.timing if run.cases[-1].measurement else None
    assert timing is not None
    warm, cold = speedup(timing, "warm"), speedup(timing, "cold")
    assert (row.speedup, row.speedup_lower, row.speedup_upper) == (warm.median, warm.judged_lower, warm.judged_upper)
    assert (row.cold_speedup, row.cold_speedup_lower) == (cold.median, cold.judged_lower)
    assert row.reference_time_s == pytest.approx(4.0)
    assert (row.reference_increment_bytes, row.reference_peak_bytes) == (400_000_000, 900_000_000)
    assert (row.commit, row.machine) == (b.PROVENANCE.commit, b.MACHINE.fingerprint)


def test_what_was_not_measured_is_missing(tmp_path: Path) -> None:
    failed = b.case_result(b.case(batch=7), failure=b.failure("signal"))
    table = reports.frame(b.write(b.make([failed]), tmp_path / "run"))
    (row,) = table.to_dict("records")
    assert (row["failure"], row["passed"]) == ("signal", False)
    assert math.isnan(row["speedup_lower"])
    # A column without a value can be compared like any other.
    assert not (table.speedup_lower >= 10).any()


@pytest.mark.parametrize("version", [b.FIRST, b.LAST_OLD])
def test_runs_of_older_schemas_have_the_same_columns(version: str, tmp_path: Path) -> None:
    old = reports.frame(b.write(b.full_run(version), tmp_path / "old"))
    new = reports.frame(b.write(b.full_run(), tmp_path / "new"))
    assert list(old.columns) == list(new.columns)
    assert old.speedup_lower.notna().sum() == 1


def test_kernels_of_other_parameters_share_a_table_and_none_hides_a_figure(tmp_path: Path) -> None:
    clash = b.case_result(
        strangers.case(strangers.PAIR, size=3, speedup=2, kernel="x"),
        measurement=Measurement(equivalence=b.equivalence()),
    )
    run = b.make([*strangers.kernel_run().lines, clash], kernels=(strangers.KERNEL, strangers.PAIR), judged=())
    table = reports.frame(b.write(run, tmp_path / "run")).set_index("case_id")
    row = table.loc[clash.case.case_id]
    assert (row.kernel, row["size"], row.param_speedup, row.param_kernel) == ("sort", 3, 2, "x")
    assert math.isnan(row.length)


def test_lines_of_one_machine_of_several(tmp_path: Path) -> None:
    run = b.quick_run()

    def moved(line: CaseResult) -> CaseResult:
        machine = msgspec.structs.replace(b.MACHINE, fingerprint="other")
        return msgspec.structs.replace(line, provenance=msgspec.structs.replace(b.PROVENANCE, machine=machine))

    lines = tuple(moved(line) if line is run.cases[0] else line for line in run.lines)
    folder = b.write(msgspec.structs.replace(run, lines=lines), tmp_path / "run")
    with pytest.raises(InputError, match="--machine FINGERPRINT"):
        reports.frame(folder)
    assert len(reports.frame(folder, "other")) == 1


def test_the_example_of_the_documentation_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b.write(b.quick_run(), tmp_path / "runs" / "quick")
    monkeypatch.chdir(tmp_path)
    (found,) = doctest.DocTestFinder(recurse=False).find(reports.frame, "frame", globs={})
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0


def test_importing_reports_imports_neither_pandas_nor_numpy_nor_matplotlib() -> None:
    script = (
        "import sys, time; at = time.process_time(); import reports; took = time.process_time() - at; "
        "print(took, [name for name in ('pandas', 'numpy', 'matplotlib', 'validation') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    took, loaded = done.stdout.split(" ", 1)
    assert float(took) < 0.5
    assert loaded.strip() == "[]"
