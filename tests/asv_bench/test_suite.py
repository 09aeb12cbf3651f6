"""The suite and its configuration, without running asv."""

import ast
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from asv.config import Config

from asv_bench.benchmarks import grid
from asv_bench.machine import machine_name
from validation.contract.manifest import Scan
from validation.kernels import registry
from validation.kernels.patches.case import of
from validation.kernels.registry import Kernels
from validation.plan.sweeps import expand

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "asv_bench" / "benchmarks"
OURS = {"ptycho", "validation", "reports", "asv_bench", "tests"}


def full_sweep():
    scan = Scan(name="built-in", path=None, sha256="0" * 64, object_shape=(grid.HEIGHT, grid.WIDTH), positions=1000)
    return expand("full", Kernels(registry.built_in()), scan, 0)


@pytest.fixture(scope="module")
def swept():
    """Values of N, gridsize, B and dtype in the full sweep, for each kernel."""
    values = {}
    for planned in full_sweep().cases:
        case = of(planned.case)
        found = values.setdefault(case.kernel, [set() for _ in range(4)])
        for axis, value in zip(found, (case.N, case.gridsize, case.batch, case.dtype), strict=True):
            axis.add(value)
    return values


@pytest.mark.parametrize(
    ("kernel", "params"),
    [
        ("patch_extraction", grid.SMALL),
        ("patch_extraction", grid.SMALL_LOOP),
        ("patch_extraction", grid.REFERENCE),
        ("patch_extraction", grid.MEMORY),
        ("patch_extraction", grid.FIRST),
        ("patch_extraction", grid.TRANSLATION),
        ("reassembly", grid.REASSEMBLY),
    ],
)
def test_the_suite_measures_only_values_that_the_full_sweep_covers(swept, kernel, params):
    assert [set(axis) - covered for axis, covered in zip(params, swept[kernel], strict=True)] == [set()] * 4


def test_grouping_is_measured_at_gridsizes_and_batches_of_the_full_sweep(swept):
    _, gridsizes, batches, _ = swept["patch_extraction"]
    assert set(grid.GROUPING[0]) <= gridsizes
    assert set(grid.GROUPING[1]) <= batches


def test_the_reference_case_has_the_N_gridsize_and_dtype_that_the_gate_judges(swept):
    sweep = full_sweep()
    (judged,) = (of(planned.case) for planned in sweep.cases if planned.case.case_id == sweep.judged[0].case_id)
    assert [[judged.N], [judged.gridsize], [judged.dtype]] == [*grid.REFERENCE[:2], grid.REFERENCE[3]]
    assert grid.NAMES == ["N", "gridsize", "B", "dtype"]


def _imports(path):
    """Top-level packages of the absolute import statements of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", sorted(SUITE.glob("*.py")), ids=lambda path: path.name)
def test_benchmarks_import_nothing_of_the_project_but_ptycho_and_that_not_at_module_level(path):
    """ptycho is imported by name in `setup`, so an import statement of it would be at the wrong place."""
    assert [name for name in _imports(path) if name in OURS] == []


def test_benchmarks_import_only_what_the_environments_of_asv_hold():
    required = {name.replace("-", "_") for name in Config.load(str(ROOT / "asv.conf.json")).matrix["req"]}
    used = {name for path in SUITE.glob("*.py") for name in _imports(path)}
    assert used - set(sys.stdlib_module_names) <= required


def test_versions_in_the_environments_of_asv_are_those_of_the_constraints():
    constraints = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    matrix = Config.load(str(ROOT / "asv.conf.json")).matrix["req"]
    pinned = {name: versions for name, versions in matrix.items() if versions != [""]}
    assert pinned == {name: [constraints[name]] for name in pinned}
    assert {"tensorflow", "numpy", "numba", "scipy"} <= pinned.keys()


def test_every_key_of_the_configuration_is_one_that_asv_reads():
    """asv ignores a key it does not know, so a misspelt one would do nothing."""
    text = re.sub(r"^\s*//.*$", "", (ROOT / "asv.conf.json").read_text(), flags=re.MULTILINE)
    read = vars(Config()).keys() | {"version", "build_cache_size", "parallel"}
    assert json.loads(text).keys() - read == set()


def test_the_name_of_the_machine_is_fit_for_a_folder_and_says_how_many_cores():
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-\d+-cores", machine_name())


def test_cases_of_the_suite_stay_few_enough_for_three_minutes():
    grids = (
        grid.SMALL,
        grid.SMALL_LOOP,
        grid.REFERENCE,
        grid.MEMORY,
        grid.FIRST,
        grid.REASSEMBLY,
        grid.TRANSLATION,
        grid.GROUPING,
    )
    assert sum(len(list(itertools.product(*params))) for params in grids) <= 32


@pytest.mark.tensorflow
def test_a_function_that_an_importable_module_lacks_is_na(monkeypatch):
    from asv_bench.benchmarks import implementations

    monkeypatch.setitem(sys.modules, "ptycho.raw_data", ModuleType("ptycho.raw_data"))
    with pytest.raises(NotImplementedError, match="raw_data of this commit has no _get_image_patches_batched"):
        implementations.require("batched")


@pytest.mark.tensorflow
@pytest.mark.parametrize("error", [AttributeError, ImportError, ModuleNotFoundError, NotImplementedError, OSError])
def test_a_ptycho_that_cannot_be_imported_is_a_failure_and_not_na_whatever_it_raises(monkeypatch, error):
    from asv_bench.benchmarks import implementations

    def broken(module):
        raise error(f"{module} is broken")

    monkeypatch.setattr(implementations.importlib, "import_module", broken)
    with pytest.raises(Exception, match="raw_data is broken") as raised:
        implementations.require("batched")
    assert not isinstance(raised.value, NotImplementedError)


# A process of its own: the parent of a fork may have run no TensorFlow operation.
FIRST_EVER = """
import sys
from asv_bench.benchmarks import fresh, implementations
implementations.require("batched")
measurement = fresh._first_call_s, "batched", (64, 2, 1, "complex64"), sys.argv[1]
assert fresh.in_fresh_process(*measurement) > 0
def kernel(): pass
sys.modules["ptycho.native"].compiled(kernel)
try:
    fresh.in_fresh_process(*measurement)
except RuntimeError as error:
    print(error)
"""


@pytest.mark.tensorflow
def test_a_first_call_ever_compiles_into_a_folder_of_its_own_and_needs_a_parent_that_compiled_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_EVER, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in tmp_path.rglob("patches._extract_groups*")} == {".kernel"}
    assert "a parent that has compiled no kernel is expected" in done.stdout


# Stands for ptycho, in a process whose first import of the suite finds none that can be imported.
PRELOADS = """
import json, os, sys
from pathlib import Path
from asv_bench.benchmarks import preload
answers = {}
for folder in sorted(Path.cwd().iterdir()):
    if folder.name.startswith("6"):
        preload.context.ensure_initialized()
    sys.path.insert(0, str(folder))
    answers[folder.name] = preload.preload(timeout_s=5), "ptycho.raw_data" in sys.modules
    sys.path.remove(str(folder))
print(json.dumps(answers))
"""
IMPORTS = {
    "1 raises": "raise OSError('broken')",
    "2 dies": "import os; os.kill(os.getpid(), 11)",
    "3 hangs": "import time; time.sleep(600)",
    "4 runs an operation": "import tensorflow; tensorflow.constant(1)",
    "5 is harmless": "",
    "6 comes after an operation": "",
}


@pytest.mark.tensorflow
def test_ptycho_is_imported_before_the_fork_only_where_that_is_harmless(tmp_path):
    for name, body in IMPORTS.items():
        package = tmp_path / name / "ptycho"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "raw_data.py").write_text(body)
        (package / "tf_helper.py").touch()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "1 raises"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", PRELOADS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "1 raises": [False, False],
        "2 dies": [False, False],
        "3 hangs": [False, False],
        "4 runs an operation": [False, False],
        "5 is harmless": [True, True],
        "6 comes after an operation": [False, True],
    }
    assert "runs a TensorFlow operation; none is expected" in done.stderr


@pytest.mark.tensorflow
def test_asv_forks_from_a_process_that_has_imported_ptycho():
    program = (
        "import sys; from asv_bench.benchmarks import preload; print([name in sys.modules for name in preload.MODULES])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[True, True]\n"


@pytest.mark.parametrize("measure", ["steady.warm", "fresh.first_call_s", "fresh.peak_bytes"])
def test_every_implementation_has_its_steady_time_first_call_and_peak(measure):
    files = (SUITE / name for name in ("patch_extraction.py", "preparation.py", "reassembly.py"))
    measured = {name for path in files for name in re.findall(rf'{re.escape(measure)}\("(\w+)"', path.read_text())}
    declared = re.findall(r'^    "(\w+)": ', (SUITE / "implementations.py").read_text(), re.MULTILINE)
    assert len(declared) == 8
    assert measured == set(declared)


# Each starts a child that never ends and tells its process id, in the way of one place of the suite.
HANGING = {
    "a measurement in a fork": """
import os, sys, time
from asv_bench.benchmarks import fresh
def hang():
    print(os.getpid(), file=sys.stderr, flush=True)
    time.sleep(600)
fresh.in_fresh_process(hang)
""",
    "the trial of an import": """
import os, sys, time
from asv_bench.benchmarks import preload
def hang():
    print(os.getpid(), file=sys.stderr, flush=True)
    time.sleep(600)
preload._import = hang
preload._is_harmless(600)
""",
    "an import in an interpreter of its own": """
from asv_bench.benchmarks import preparation
preparation._TIMED_IMPORT = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
run = preparation.subprocess.run
preparation.subprocess.run = lambda *command, **options: run(*command, **{**options, "capture_output": False})
preparation._import_s()
""",
}


@pytest.mark.parametrize("name", HANGING)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_benchmark_that_is_killed_takes_its_child_along(name, how):
    with subprocess.Popen(
        [sys.executable, "-c", HANGING[name]], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as benchmark:
        # TensorFlow may warn on the same stream.
        child = psutil.Process(int(next(line for line in benchmark.stderr if line.strip().isdigit())))
        benchmark.send_signal(how)
        benchmark.wait(30)
        left = psutil.wait_procs([child], timeout=10)[1]
        for process in left:
            process.kill()
    assert left == []


def test_a_child_whose_parent_was_gone_before_it_began_ends_at_once():
    program = "from asv_bench.benchmarks import children; children.die_with(1 << 30); print('lives')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
