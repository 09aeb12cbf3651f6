"""A sweep on a Dask cluster writes the run folder that the embedded one writes, whatever happens to its workers."""

import contextlib
import functools
import gc
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import distributed
import msgspec
import psutil
import pytest

from tests.faults.dask_workers import dask_workers
from tests.validation.builders import PROVENANCE, make_calibration, make_case, make_manifest, make_result
from validation.cluster.connection import Workers, connect
from validation.cluster.machines import describe_workers, home_of
from validation.cluster.session import _ClusterRun, run_on_cluster
from validation.cluster.sources import lay_out, read_sources
from validation.cluster.worker import Done, Greeting, Outfit, Station
from validation.contract.cases import PlannedCase
from validation.contract.errors import InstrumentError, UsageError
from validation.contract.lines import CalibrationResult, CaseResult
from validation.machine.surroundings import worker_environment
from validation.plan.items import CaseItem
from validation.run import results
from validation.run.options import ClusterOptions, Options
from validation.run.progress import Progress
from validation.run.provenance import Sources, describe
from validation.run.session import run
from validation.run.summary import line_passed

TINY = "[[cases]]\nN = [8]\ngridsize = [1, 2]\nbatch = [1, 2]\npattern = ['border']\nshape = [[20, 30]]\n"
HUNDRED = """
[[cases]]
N = [8]
gridsize = [1, 2]
batch = [1, 2, 3, 4, 5]
pattern = ["border", "integer", "zero", "fermat", "raster"]
shape = [[20, 31], [24, 17]]
"""
LOCAL = ClusterOptions(local_workers=2)
INSTALLED = Sources()


@pytest.fixture(autouse=True)
def _collected():
    """Dask leaves sockets and processes to the garbage collector: it comes here, not in a test of something else."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Watching(Progress):
    """Progress that also calls a function at each line, with the number of lines so far."""

    def __init__(self, watch=lambda count: None):
        super().__init__(io.StringIO())
        self.watch = watch
        self.count = 0

    def line_done(self, line, passed):
        super().line_done(line, passed)
        self.count += 1
        self.watch(self.count)


def run_in(folder, sweep, progress=None, name="run", **options):
    (folder / "sweep.toml").write_text(sweep)
    chosen = {"sweep": str(folder / "sweep.toml"), "out": str(folder / name), "command": "python -m validation run"}
    shown = progress or Watching()
    asked = Options(**{**chosen, "threads": 1, **options})
    summary = run(asked, shown) if asked.cluster is None else run_on_cluster(asked, shown)
    return summary, results.RunFolder.open(folder / name), shown.stream.getvalue()


def cases_of(folder):
    return {line.key: line for line in folder.lines() if isinstance(line, CaseResult)}


def measured(folder):
    """What a case found, without times and machine."""
    return {key: (line.outputs_sha256, line.measurement, line.failure) for key, line in cases_of(folder).items()}


def family():
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process().children(recursive=True)
    return []


def is_server(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return "validation.child.server" in process.cmdline()
    return False


@pytest.mark.tensorflow
def test_two_workers_measure_what_the_embedded_run_measures(tmp_path):
    loaded, listening = [], []

    def look(count):
        for worker, _ in dask_workers(psutil.Process()):
            with contextlib.suppress(OSError):
                loaded.append("tensorflow" in Path(f"/proc/{worker.pid}/maps").read_text())
        for process in (psutil.Process(), *family()):
            with contextlib.suppress(psutil.NoSuchProcess):
                found = process.net_connections(kind="inet")
                listening.extend(entry.laddr.ip for entry in found if entry.status == psutil.CONN_LISTEN)

    summary, folder, told = run_in(tmp_path, TINY, Watching(look), cluster=LOCAL)
    _, embedded, _ = run_in(tmp_path, TINY, name="embedded")
    assert (summary.planned, summary.passed, summary.failed, summary.missing) == (5, 5, 0, 0), told
    assert measured(folder) == measured(embedded)
    assert len(measured(folder)) == 4
    # Dask sets variables of malloc for its workers; which are cleared for children depends on who ran before.
    both = [msgspec.structs.replace(each.manifest.provenance, cleared_env=()) for each in (folder, embedded)]
    assert both[0] == both[1]
    assert "cluster: 2 workers that measure: 2 of class" in told
    assert "2 workers share" in told
    assert loaded
    assert not any(loaded)
    assert set(listening) == {"127.0.0.1"}


def make_outfit(**changes):
    origin = describe(INSTALLED, worker_environment(1))
    manifest = msgspec.structs.replace(make_manifest(), provenance=origin)
    outfit = Outfit(
        manifest=manifest,
        scan=b"",
        sources=None,
        start="fork",
        threads=1,
        memory_limit_bytes=None,
        neighbours=1,
        timeout_s=60.0,
        needs_suite=False,
        ignore_interrupts=False,
    )
    scan = msgspec.structs.replace(manifest.scan, sha256=hashlib.sha256(b"").hexdigest())
    outfit = msgspec.structs.replace(outfit, manifest=msgspec.structs.replace(manifest, scan=scan))
    return msgspec.structs.replace(outfit, **changes)


def with_origin(outfit, **changes):
    origin = msgspec.structs.replace(outfit.manifest.provenance, **changes)
    return msgspec.structs.replace(outfit, manifest=msgspec.structs.replace(outfit.manifest, provenance=origin))


REFUSALS = {
    "kernel": (lambda outfit: with_origin(outfit, kernel_digest="d" * 64), "must have the kernel sources"),
    "harness": (lambda outfit: with_origin(outfit, harness_digest="0"), "must have the harness sources"),
    "versions": (lambda outfit: with_origin(outfit, versions={"python": "2.7"}), "must have the versions of the run"),
    "scan": (lambda outfit: msgspec.structs.replace(outfit, scan=b"other"), "the scan must have the SHA-256 e3b0"),
}


def open_station(outfit):
    station = Station(outfit)
    station.setup(None)
    try:
        station.open()
    finally:
        station.close()


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_worker_that_would_measure_something_else_refuses(fault):
    change, message = REFUSALS[fault]
    open_station(make_outfit())  # the unchanged outfit is taken
    with pytest.raises(UsageError, match=message):
        open_station(change(make_outfit()))


def test_a_refused_worker_tells_the_run_why():
    station = Station(REFUSALS["kernel"][0](make_outfit()))
    station.setup(None)
    try:
        done = station.do((), ())
    finally:
        station.close()
    assert done.refused[0] == "UsageError"
    assert "install the same on all workers" in done.refused[1]
    assert done.lines == ()


def test_another_checkout_reaches_a_worker_as_bytes_and_has_the_same_digest(tmp_path):
    checkout = tmp_path / "checkout" / "ptycho"
    checkout.mkdir(parents=True)
    (checkout / "__init__.py").write_text("CHANGED = True\n")
    sources = read_sources(str(checkout.parent))
    judged = Sources(package=str(checkout.parent))
    outfit = with_origin(make_outfit(), kernel_digest=describe(judged, {}).kernel_digest)
    open_station(msgspec.structs.replace(outfit, sources=sources))
    with pytest.raises(UsageError, match="must have the kernel sources"):
        open_station(msgspec.structs.replace(outfit, sources={**sources, "ptycho/more.py": b""}))


def test_a_source_that_leads_out_of_its_checkout_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"must stay inside its checkout, got '\.\./evil\.py'"):
        lay_out({"../evil.py": b""}, tmp_path / "checkout")
    assert not (tmp_path / "evil.py").exists()


HOME = PROVENANCE.machine.fingerprint


def origin_of(fingerprint):
    machine = msgspec.structs.replace(PROVENANCE.machine, fingerprint=fingerprint)
    return msgspec.structs.replace(PROVENANCE, machine=machine)


def greeting(fingerprint, host):
    return Greeting(origin=origin_of(fingerprint), host=host)


def calibration_of(fingerprint, passed):
    return msgspec.structs.replace(make_calibration(passed=passed), provenance=origin_of(fingerprint))


def test_a_run_is_declared_on_the_machine_class_of_most_workers_or_on_that_it_continues():
    greetings = [greeting("a", "one"), greeting("b", "two"), greeting("b", "three")]
    assert home_of(greetings, None).origin.machine.fingerprint == "b"
    assert home_of(greetings, "a").origin.machine.fingerprint == "a"
    assert home_of(greetings, "gone").origin.machine.fingerprint == "b"


def test_machine_classes_and_shared_hosts_are_told():
    told = "\n".join(describe_workers([greeting("a", "one"), greeting("b", "two"), greeting("b", "two")]))
    assert "3 workers that measure: 1 of class a (A processor); 2 of class b (A processor)" in told
    assert "python -m reports gate DIR --machine CLASS" in told
    assert "2 workers share two" in told
    assert "share" not in "".join(describe_workers([greeting("a", "one"), greeting("a", "two")]))


class Answer:
    """The future of a task that was answered at once, or of one that is never done."""

    status = "finished"

    def __init__(self, answer):
        self.answer = answer

    def done(self):
        return isinstance(self.answer, Done)

    def result(self):
        return self.answer

    def release(self):
        pass


class Answering:
    """One worker of no cluster: it answers tasks in turn, with what it was given.

    In the place of an answer, ``"stranded"`` says that nobody is left for the task, and ``"moving"`` that its worker
    leaves whenever somebody looks.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.looks = 0
        self.handed, self.left_out, self.cancelled = [], [], []

    def capacity(self):
        return 1

    def submit(self, function, run_id, items, calibrated):
        self.handed.append(items)
        return Answer(self.answers.pop(0))

    def wait(self, futures, timeout_s):
        self.looks += 1
        return [future for future in futures if future.done()]

    def moves(self, future):
        return self.looks if future.answer == "moving" else 0

    def stranded(self, future):
        return future.answer == "stranded"

    def leave_out(self, name):
        self.left_out.append(name)

    def cancel(self, futures):
        self.cancelled += futures


def make_item(name="case-0"):
    planned = PlannedCase(case=make_case(name))
    return CaseItem(planned=planned, candidate="batched", role="candidate", checks=planned.checks)


def drive(folder, workers, *items):
    """Do items of a plan; give what was said."""
    progress = Progress(io.StringIO())
    _ClusterRun(folder, workers, progress).go(items)
    return progress.stream.getvalue()


def test_a_worker_of_another_class_that_reads_wrong_is_left_out_and_its_item_goes_elsewhere(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    bad = Done(calibration=calibration_of("other", passed=False), worker="bad")
    good = Done(calibration=calibration_of(HOME, passed=True), worker="good")
    workers = Answering(bad, good, bad, Done(lines=(make_result(),)))
    told = drive(folder, workers, make_item())
    assert workers.handed == [(), (), (make_item(),), (make_item(),)]
    assert workers.left_out == ["bad", "bad"]
    assert "worker bad of machine class other is left out, and its item goes to another: clock must read" in told
    assert [line.key for line in folder.lines()] == ["calibration", "case-0|batched"]
    assert "1 already done" in drive(folder, Answering(), make_item())  # the run can be continued


@pytest.mark.parametrize("fingerprint", [HOME, "other"])
def test_a_worker_that_reads_wrong_is_left_out_where_its_class_has_a_good_calibration(tmp_path, fingerprint):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    workers = Answering()
    run = _ClusterRun(folder, workers, Progress(io.StringIO()))
    assert run.take_calibration(calibration_of(fingerprint, passed=True), "first")
    assert run.take_calibration(calibration_of(fingerprint, passed=True), "second")
    assert not run.take_calibration(calibration_of(fingerprint, passed=False), "third")
    assert workers.left_out == ["third"]
    (line,) = folder.lines()
    assert line_passed(line)


def test_a_failed_calibration_of_the_runs_own_class_ends_it_also_where_it_is_continued(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    message = f"nothing was measured on machine class {HOME}, .* start a new run"
    bad = Done(calibration=calibration_of(HOME, passed=False), worker="bad")
    with pytest.raises(InstrumentError, match=message):
        drive(folder, Answering(bad), make_item())
    assert [line.key for line in folder.lines()] == ["calibration"]
    with pytest.raises(InstrumentError, match=message):
        drive(folder, Answering(), make_item())


def test_an_item_whose_workers_keep_leaving_is_one_failure_and_the_run_goes_on(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1")))
    workers = Answering(Done(calibration=make_calibration()), "moving", Done(lines=(make_result("case-1"),)))
    drive(folder, workers, make_item("case-0"), make_item("case-1"))
    first, second = cases_of(folder).values()
    assert (first.case.case_id, first.failure.reason) == ("case-0", "worker_lost")
    assert re.fullmatch(r"\d+ workers left or were lost while it ran", first.failure.message)
    assert second == make_result("case-1")
    assert len(workers.cancelled) == 1


def test_an_item_that_no_worker_is_left_for_is_handed_out_anew(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    workers = Answering(Done(calibration=make_calibration()), "stranded", Done(lines=(make_result(),)))
    drive(folder, workers, make_item())
    assert workers.handed == [(), (make_item(),), (make_item(),)]
    assert len(workers.cancelled) == 1
    assert len(cases_of(folder)) == 1


class MadeUpClient:
    """The client of a made-up cluster: each look finds its next state, the last one for good.

    A state maps a worker's address, which is its name and host too, to its machine class, or to ``None`` where it does
    not offer the resource.
    """

    def __init__(self, *states):
        self.states = list(states)
        self.state = {}
        self.meant = []

    def scheduler_info(self):
        self.state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        offers = {address: {"measure": 1.0} if kind else {} for address, kind in self.state.items()}
        return {"workers": {address: {"name": address, "resources": offer} for address, offer in offers.items()}}

    def run(self, function, *arguments, workers, on_error):
        return {address: greeting(self.state[address], address) for address in workers}

    def submit(self, function, *arguments, workers, **options):
        self.meant.append(workers)
        return types.SimpleNamespace(key=f"task-{len(self.meant)}")


def greeted(wait_s, wanted, *states):
    return [found.host for found in Workers(MadeUpClient(*states), wait_s).greet(None, INSTALLED, 1, wanted)]


def test_a_run_waits_for_the_first_worker_that_offers_the_resource():
    assert greeted(30.0, None, {}, {"idle": None}, {"idle": None, "late": "a"}) == ["late"]


def test_a_continued_run_waits_for_its_machine_class_but_not_for_ever():
    assert greeted(30.0, "b", {"early": "a"}, {"early": "a", "late": "b"}) == ["early", "late"]
    assert greeted(30.0, "b", {"gone": "a"}, {"late": "b"}) == ["late"]
    assert greeted(0.0, "b", {"early": "a"}) == ["early"]


def test_tasks_are_meant_for_the_workers_that_were_not_left_out_and_stranded_when_those_are_gone():
    two = {"one": "a", "two": "a"}
    client = MadeUpClient(two, two, two, {"one": "a", "three": "a"})
    workers = Workers(client, 30.0)
    assert workers.capacity() == 2
    first = workers.submit(print)
    workers.leave_out("one")
    assert workers.capacity() == 1
    second = workers.submit(print)
    assert client.meant == [None, ["two"]]
    assert not workers.stranded(second)
    assert workers.capacity() == 1
    assert workers.stranded(second)
    assert not workers.stranded(first)


def test_a_cluster_whose_workers_were_all_left_out_is_given_up_after_the_wait():
    workers = Workers(MadeUpClient({"one": "a"}), 0.0)
    workers.leave_out("one")
    time.sleep(0.01)
    with pytest.raises(InstrumentError, match=r"reads right \(1 left out: their calibration failed\) for 0 s"):
        workers.capacity()


class ForgetfulClient(MadeUpClient):
    """The client of a Dask that describes five workers unless asked for all, and sometimes none of them."""

    def __init__(self, *states, forgets=()):
        super().__init__(*states)
        self.forgets = list(forgets)

    def scheduler_info(self, n_workers=5):
        told = super().scheduler_info()
        count = len(told["workers"])
        shown = 0 if self.forgets and self.forgets.pop(0) else count if n_workers == -1 else n_workers
        return {"n_workers": count, "workers": dict(list(told["workers"].items())[:shown])}


def test_all_workers_are_counted_where_dask_describes_five_unless_asked_for_all():
    workers = Workers(ForgetfulClient({f"worker-{number}": "a" for number in range(9)}), 0.0)
    assert workers.capacity() == 9
    assert len(workers.greet(None, INSTALLED, 1)) == 9


def test_an_answer_that_describes_fewer_workers_than_it_counts_is_asked_for_anew():
    workers = Workers(ForgetfulClient({"one": "a", "two": "a"}, forgets=[True, True, False, True]), 0.0)
    assert workers.capacity() == 2
    assert workers.capacity() == 2


def test_one_look_that_finds_no_worker_ends_no_run():
    """However long ago the last look was: the wait begins where no worker is found."""
    one = {"one": "a"}
    workers = Workers(MadeUpClient(one, {}, one, one), 0.0)
    assert workers.capacity() == 1
    time.sleep(0.01)
    assert workers.capacity() == 0
    time.sleep(0.01)
    assert workers.capacity() == 1
    late = Workers(MadeUpClient({}, one), 0.0)
    time.sleep(0.01)
    assert late.capacity() == 1
    assert greeted(0.0, None, {}, one) == ["one"]


def test_no_worker_at_two_looks_and_for_longer_than_the_wait_ends_the_run():
    workers = Workers(MadeUpClient({"one": "a"}, {}), 0.0)
    assert workers.capacity() == 1
    assert workers.capacity() == 0
    time.sleep(0.01)
    with pytest.raises(InstrumentError, match="the cluster had no worker that offers the resource measure for 0 s"):
        workers.capacity()


def test_a_real_cluster_of_more_than_five_workers_is_counted_whole(threads_cluster):
    with connect(ClusterOptions(scheduler=threads_cluster(*[{"measure": 1}] * 8), worker_wait_s=20.0)) as workers:
        workers.client.wait_for_workers(8)
        assert [workers.capacity() for _ in range(20)] == [8] * 20


@pytest.fixture
def threads_cluster():
    """A scheduler with workers in this process, each with its own resources."""
    with contextlib.ExitStack() as stack:

        def start(*resources):
            spec = {
                number: {"cls": distributed.Worker, "options": {"nthreads": 1, "resources": offered}}
                for number, offered in enumerate(resources)
            }
            options = {"dashboard": False, "dashboard_address": ":0", "port": 0, "host": "127.0.0.1"}
            scheduler = {"cls": distributed.Scheduler, "options": options}
            cluster = stack.enter_context(distributed.SpecCluster(workers=spec, scheduler=scheduler))
            return cluster.scheduler_address

        yield start


def test_workers_without_the_resource_are_counted_and_take_no_cases(threads_cluster):
    address = threads_cluster({"measure": 1}, {}, {})
    with connect(ClusterOptions(scheduler=address)) as workers:
        workers.client.wait_for_workers(3)
        assert workers.capacity() == 1
        assert len(workers.greet(None, INSTALLED, 1)) == 1
        assert list(workers.notes()) == ["2 of 3 workers do not offer the resource measure=1 and take no cases"]


@pytest.mark.parametrize(
    ("offered", "message"),
    [({}, r"none of 1 does; start workers with: dask worker ADDRESS"), ({"measure": 2}, "offers measure=2")],
)
def test_a_cluster_that_cannot_measure_one_at_a_time_is_refused(threads_cluster, offered, message):
    with connect(ClusterOptions(scheduler=threads_cluster(offered), worker_wait_s=0.3)) as workers:
        workers.client.wait_for_workers(1)
        with pytest.raises(UsageError, match=message):
            workers.greet(None, INSTALLED, 1)


def name_of_worker():
    return distributed.get_worker().name


def test_a_worker_that_is_left_out_gets_no_more_tasks(threads_cluster):
    with connect(ClusterOptions(scheduler=threads_cluster({"measure": 1}, {"measure": 1}))) as workers:
        workers.client.wait_for_workers(2)
        assert workers.capacity() == 2
        workers.leave_out(0)
        assert workers.capacity() == 1
        assert {workers.result_of(name_of_worker) for _ in range(5)} == {1}


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)


def test_a_worker_that_leaves_in_good_order_is_counted_for_its_task(threads_cluster, tmp_path):
    with connect(ClusterOptions(scheduler=threads_cluster({"measure": 1}, {"measure": 1}))) as workers:
        workers.client.wait_for_workers(2)
        future = workers.submit(wait_for, str(tmp_path / "go_on"))
        deadline = time.monotonic() + 60
        at = []
        while not at and time.monotonic() < deadline:
            at = [address for address, keys in workers.client.processing().items() if future.key in keys]
        assert len(at) == 1
        workers.client.retire_workers(at)
        (tmp_path / "go_on").touch()
        assert workers.wait([future], 60.0) == [future]
        assert workers.moves(future) == 1


def test_a_cluster_without_workers_is_given_up_after_the_wait(threads_cluster):
    with connect(ClusterOptions(scheduler=threads_cluster(), worker_wait_s=0.3)) as workers:
        with pytest.raises(UsageError, match=r"must have a worker, but none came within 0\.3 s"):
            workers.greet(None, INSTALLED, 1)
        time.sleep(0.3)
        with pytest.raises(InstrumentError, match="continue with --resume"):
            workers.capacity()


def validation(*arguments, **options):
    command = [sys.executable, "-m", "validation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--local-cluster", 2, "--scheduler", "tcp://h:1"), "exactly one of --scheduler ADDRESS, --local-cluster N"),
        (("--cluster-options", "a.yaml"), "exactly one of"),
        (("--local-cluster", 2, "--cluster-options", "a.yaml"), "name the class with --cluster"),
        (("--scheduler", "tls://h:1", "--tls-cert", "a.pem"), "belong together"),
        (("--scheduler", "tls://h:1", "--tls-cert", "a", "--tls-key", "a", "--tls-ca-file", "a"), "must be a file"),
        (("--cluster", "nowhere:Cluster"), "must be package.module:Class"),
        (("--cluster", "distributed:LocalCluster", "--cluster-options", "no.yaml"), "no.yaml cannot be read"),
        (("--local-cluster", 0), "0 is not in the range"),
    ],
)
def test_options_that_name_no_cluster_get_one_line_and_exit_code_2(arguments, message, tmp_path):
    done = validation("run", "--sweep", "smoke", "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_without_the_extra_the_error_names_it(tmp_path):
    program = (
        "import sys; sys.modules['distributed'] = None\n"
        f"sys.argv[1:] = ['run', '--sweep', 'smoke', '--local-cluster', '2', '--out', {str(tmp_path / 'run')!r}]\n"
        "from validation.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'ptycho-validation[distributed]'" in done.stderr


def test_an_embedded_run_never_imports_dask(tmp_path):
    program = (
        f"import sys; sys.argv[1:] = ['run', '--sweep', 'smoke', '-k', 'nothing', '--out', {str(tmp_path / 'run')!r}]\n"
        "from validation.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as left:\n    assert left.code == 5, left.code\n"
        "assert not {'dask', 'distributed', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_cases_survive_three_killed_workers_with_the_same_bits(tmp_path):
    killed = []

    def kill(count):
        if count in (15, 40, 65):
            worker, _ = dask_workers(psutil.Process())[0]
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    started = time.monotonic()
    summary, folder, told = run_in(tmp_path, HUNDRED, Watching(kill), cluster=LOCAL)
    took = time.monotonic() - started
    _, embedded, _ = run_in(tmp_path, HUNDRED, name="embedded")
    keys = [line.key for line in folder.lines()]
    assert len(set(killed)) == 3
    assert len(keys) == len(set(keys)) == 101
    assert all(line_passed(line) for line in folder.lines()), told
    assert measured(folder) == measured(embedded)
    assert all(len(line.outputs_sha256) == 3 for line in cases_of(folder).values())
    assert not [process for process in family() if is_server(process)]
    print(f"100 cases, 3 workers killed: {took:.0f} s, {summary.passed} of {summary.planned} lines")  # noqa: T201


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_case_that_kills_every_worker_is_one_failure_and_the_sweep_goes_on(tmp_path):
    sweep = TINY.replace("gridsize = [1, 2]", "gridsize = [1]").replace("[1, 2]", "[2, 3]")
    target = "tests.validation.killing:kill_the_worker_at_three_groups"
    summary, folder, _ = run_in(tmp_path, sweep, cluster=LOCAL, candidate=target)
    reasons = {line.case.params["batch"]: line.failure and line.failure.reason for line in cases_of(folder).values()}
    assert reasons == {2: None, 3: "worker_lost"}
    assert (summary.planned, summary.passed, summary.failed, summary.missing) == (3, 2, 1, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_is_continued(tmp_path, number):
    (tmp_path / "sweep.toml").write_text(HUNDRED)
    arguments = (
        "run",
        "--sweep",
        tmp_path / "sweep.toml",
        "--where",
        "batch=1",
        "--local-cluster",
        2,
        "--out",
        tmp_path / "run",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "validation", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # also from the background
    )
    for line in process.stdout:
        if line.startswith("[3/20]"):
            break
    started = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: the workers get it too
    else:
        process.kill()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert "what was measured is kept, continue with:" in stderr.splitlines()[-1]
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive
    done = validation(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
    keys = [line.key for line in results.RunFolder.open(tmp_path / "run").lines()]
    assert len(keys) == len(set(keys)) == 21


@pytest.fixture
def pem(tmp_path):
    """A certificate that is its own authority, and its key, for the address 127.0.0.1."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


@pytest.fixture
def dask_processes(tmp_path):
    """Start a scheduler and workers as a user does; gives the scheduler's process and address."""
    with contextlib.ExitStack() as stack:

        def start_one(program, *arguments):
            command = [sys.executable, "-m", "dask", program, *arguments, "--host", "127.0.0.1"]
            process = subprocess.Popen(
                [*command, "--no-dashboard"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        def start(flags=(), protocol="tcp"):
            file = tmp_path / "scheduler.json"
            named = ("--protocol", protocol, "--port", "0", "--scheduler-file", str(file))
            scheduler = start_one("scheduler", *named, *flags)
            deadline = time.monotonic() + 60
            while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
                time.sleep(0.1)
            address = msgspec.json.decode(file.read_bytes())["address"]
            start_one("worker", address, "--nthreads", "1", "--resources", "measure=1", *flags)
            start_one("worker", address, "--nthreads", "1", *flags)
            return scheduler, address

        yield start


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_running_cluster_is_used_over_tls_and_refuses_those_without(tmp_path, pem, dask_processes):
    cert, key = map(str, pem)
    flags = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    _, address = dask_processes(flags, "tls")
    (tmp_path / "sweep.toml").write_text(TINY)
    arguments = ("run", "--sweep", tmp_path / "sweep.toml", "--scheduler", address)
    refused = validation(*arguments, "--out", tmp_path / "refused")
    assert refused.returncode == 2, refused.stderr
    assert "cannot be reached" in refused.stderr.splitlines()[-1], refused.stderr
    done = validation(*arguments, "--out", tmp_path / "run", *flags)
    assert done.returncode == 0, done.stderr
    lines = results.RunFolder.open(tmp_path / "run").lines()
    assert len(lines) == 5
    assert all(map(line_passed, lines))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_lost_scheduler_ends_the_run_with_what_was_measured(tmp_path, dask_processes):
    scheduler, address = dask_processes()
    (tmp_path / "sweep.toml").write_text(HUNDRED)
    arguments = ("run", "--sweep", tmp_path / "sweep.toml", "--scheduler", address, "--out", tmp_path / "run")
    command = [sys.executable, "-m", "validation", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("[3/100]"):
            break
    scheduler.kill()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 4, stderr
    assert "what was measured is kept, continue with --resume" in stderr.splitlines()[-1]
    assert len(results.RunFolder.open(tmp_path / "run").lines()) >= 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_any_cluster_class_serves_with_a_file_of_arguments(tmp_path):
    (tmp_path / "sweep.toml").write_text(TINY)
    (tmp_path / "cluster.yaml").write_text(
        "n_workers: 1\nthreads_per_worker: 1\ndashboard_address: null\nresources: {measure: 1}\n"
    )
    done = validation(
        *("run", "--sweep", tmp_path / "sweep.toml", "--out", tmp_path / "run"),
        *("--cluster", "distributed:LocalCluster", "--cluster-options", tmp_path / "cluster.yaml"),
    )
    assert done.returncode == 0, done.stderr
    lines = results.RunFolder.open(tmp_path / "run").lines()
    assert sum(isinstance(line, CalibrationResult) for line in lines) == 1
    assert len(lines) == 5
