import numpy as np
import pytest

from tests.validation.builders import SCAN
from tests.validation.children import ask, make_case, make_task
from tests.validation.misbehaving import WAYS
from validation.child.actions import execute
from validation.child.afresh import Afresh
from validation.contract import tasks
from validation.contract.errors import UsageError
from validation.kernels import registry
from validation.kernels.patches import oracle
from validation.kernels.patches.case import of
from validation.kernels.registry import Kernels
from validation.measure.runner import LocalExecutor
from validation.plan.sweeps import expand
from validation.properties import generic, tested

KERNELS = Kernels(registry.built_in())
ALL = [(kernel.name, name) for kernel in KERNELS for name in generic.names(kernel)]
PROBED = expand("full", KERNELS, SCAN, 0).probed
BEHAVE = "tests.validation.misbehaving:behave"
RIGHT = {"patch_extraction": oracle.extract_patches, "reassembly": oracle.shift_and_sum}


def case_of(kernel, **changed):
    return make_case(kernel=kernel, pattern="fermat", **changed)


def nowhere(threads):
    raise AssertionError("no fresh process was expected")


def checked(name, function, case, scan_path, afresh=nowhere):
    """Check a property of a function at a case."""
    kernel = KERNELS[case.kernel]
    return generic.find(kernel, case, name)(tested.Tested(function, kernel, case, scan_path, afresh))


def check(name, function, scan_path, kernel="patch_extraction", **changed):
    return checked(name, function, case_of(kernel, **changed), scan_path)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("kernel", "name"), [pair for pair in ALL if pair[1] != "threads"])
@pytest.mark.parametrize("implementation", ["reference", "batched"])
def test_every_property_holds_for_ptycho(scan_path, kernel, name, implementation):
    reply = execute(
        make_task("property", scan_path, case=case_of(kernel), implementation=implementation, property=name)
    )
    if isinstance(reply, tasks.ErrorReply) and reply.reason == "not_available":
        pytest.skip(reply.message)
    assert isinstance(reply, tasks.PropertyReply), reply
    assert reply.passed, reply


@pytest.mark.tensorflow
def test_bits_do_not_depend_on_threads(scan_path, tmp_path):
    reply = ask(make_task("property", scan_path, implementation="batched", property="threads"), tmp_path)
    assert isinstance(reply, tasks.PropertyReply)
    assert reply.passed, reply


@pytest.mark.tensorflow
def test_in_a_child_of_the_server_fresh_processes_are_forked_and_the_same_is_seen(scan_path, tmp_path, monkeypatch):
    started = tmp_path / "started"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(started)!r}, 'a').write('an interpreter\\n')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with LocalExecutor(tmp_path, mode="fork", threads=2, memory_limit_bytes=None, preload=KERNELS.preload) as executor:
        replies = {
            name: executor.run(make_task("property", scan_path, implementation=name, property="threads"), 60.0).reply
            for name in ("batched", "thread_dependent")
        }
        case = make_case(batch=WAYS.index("exit_code"))
        task = make_task("property", scan_path, case=case, implementation=BEHAVE, property="threads")
        replies["behave"] = executor.run(task, 60.0).reply
    assert {name: reply.passed for name, reply in replies.items()} == {
        "batched": True,
        "thread_dependent": False,
        "behave": False,
    }
    assert started.read_text().count("\n") == 1, "a process with other threads is an interpreter of its own"
    assert replies["thread_dependent"].figure > 0
    assert replies["behave"].detail == "no result with 1 threads: giving up"


def test_bits_that_depend_on_threads_are_seen_and_a_process_without_a_result_is_told(scan_path, tmp_path):
    reply = ask(make_task("property", scan_path, implementation="thread_dependent", property="threads"), tmp_path)
    assert isinstance(reply, tasks.PropertyReply)
    assert not reply.passed
    assert reply.figure > 0
    case = make_case(batch=WAYS.index("exit_code"))
    reply = ask(make_task("property", scan_path, case=case, implementation=BEHAVE, property="threads"), tmp_path)
    assert isinstance(reply, tasks.PropertyReply)
    assert not reply.passed
    assert reply.detail == "no result with 1 threads: giving up"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_the_oracle_passes_the_dot_product_over_edges_and_outside(scan_path, dtype):
    for pattern in ("border", "outside", "zero"):
        case = make_case(pattern=pattern, dtype=dtype)
        found = checked("dot_product", oracle.extract_patches, case, scan_path)
        assert found.passed, (pattern, found)


def swapped(**arguments):
    changed = {name: arguments[name][:, :, ::-1] for name in ("global_offsets", "local_offsets")}
    return oracle.extract_patches(**{**arguments, **changed})


def half_a_pixel_off(**arguments):
    return oracle.extract_patches(**{**arguments, "global_offsets": arguments["global_offsets"] + 0.5})


def other_sign(**arguments):
    changed = {name: -arguments[name] for name in ("global_offsets", "local_offsets")}
    return oracle.extract_patches(**{**arguments, **changed})


def conjugated(**arguments):
    return oracle.extract_patches(**arguments).conj()


def dimmed(**arguments):
    return oracle.extract_patches(**arguments) * np.float32(1 - 1e-6)


def not_the_same_in_large_batches(**arguments):
    out = oracle.extract_patches(**arguments)
    return out if len(out) < 4 else np.nextafter(out.real, np.float32(9)) + 1j * out.imag


def depends_on_order(**arguments):
    out = oracle.extract_patches(**arguments)
    out[0] *= np.float32(1 + 1e-6)
    return out


def writes_into_its_input(**arguments):
    out = oracle.extract_patches(**arguments)
    arguments["local_offsets"][0] += 1.0
    return out


class Keeps:
    def __init__(self):
        self.kept = None

    def __call__(self, **arguments):
        if self.kept is None:
            self.kept = oracle.extract_patches(**arguments)
        return self.kept


class Drifts:
    def __init__(self):
        self.calls = 0

    def __call__(self, **arguments):
        self.calls += 1
        return oracle.extract_patches(**arguments) * np.float32(1 + 1e-6 * self.calls)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("gradient", swapped),
        ("gradient", half_a_pixel_off),
        ("gradient", other_sign),
        ("constant_object", dimmed),
        ("constant_object", conjugated),
        ("integer_slicing", half_a_pixel_off),
        ("integer_slicing", dimmed),
        ("dot_product", swapped),
        ("dot_product", conjugated),
        ("impulse_matrix", conjugated),
        ("impulse_matrix", swapped),
        ("batch_size", not_the_same_in_large_batches),
        ("order", depends_on_order),
        ("earlier_calls", Keeps()),
        ("earlier_calls", Drifts()),
        ("inputs_unchanged", writes_into_its_input),
    ],
)
def test_a_broken_extraction_is_seen(scan_path, name, broken):
    found = check(name, broken, scan_path)
    assert not found.passed, found


def placed_swapped(**arguments):
    return oracle.shift_and_sum(**{**arguments, "global_offsets": arguments["global_offsets"][..., ::-1]})


def placed_half_off(**arguments):
    patches = arguments["obj_tensor"]
    blurred = (patches + np.roll(patches, 1, axis=2)) / 2
    return oracle.shift_and_sum(**{**arguments, "obj_tensor": blurred})


def last_patch_lost(**arguments):
    patches = arguments["obj_tensor"].copy()
    patches[-1] = 0
    return oracle.shift_and_sum(**{**arguments, "obj_tensor": patches})


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("delta", placed_swapped),
        ("delta", placed_half_off),
        ("count_canvas", last_patch_lost),
        ("dot_product", placed_half_off),
        ("dot_product", last_patch_lost),
        ("impulse_matrix", placed_swapped),
    ],
)
def test_a_broken_placement_is_seen(scan_path, name, broken):
    found = check(name, broken, scan_path, kernel="reassembly")
    assert not found.passed, found


def test_an_unknown_property_is_refused(scan_path):
    with pytest.raises(UsageError, match="property of patch_extraction must be one of gradient"):
        check("guess", oracle.extract_patches, scan_path)
    with pytest.raises(UsageError, match=r"B0.* has none"):
        check("order", oracle.extract_patches, scan_path, batch=0)


def test_properties_see_a_nan_that_only_impulses_bring_forth(scan_path):
    def normalised(function, name):
        """Divides by what noise never makes zero."""

        def call(**arguments):
            output = function(**arguments)
            lit = np.count_nonzero(arguments[name]) > 1
            return output if lit else output * np.complex64(np.nan)

        return call

    for kernel, name in (("patch_extraction", "gt_image"), ("reassembly", "obj_tensor")):
        found = check("impulse_matrix", normalised(RIGHT[kernel], name), scan_path, kernel)
        assert not found.passed
        assert check("impulse_matrix", RIGHT[kernel], scan_path, kernel).passed


def test_a_nan_in_the_imaginary_part_of_the_counts_is_seen(scan_path):
    def half(**arguments):
        canvas = oracle.shift_and_sum(**arguments)
        canvas.imag[0, 0] = np.nan
        return canvas

    assert not check("count_canvas", half, scan_path, "reassembly").passed


@pytest.mark.tensorflow
@pytest.mark.parametrize("planned", [planned for planned in PROBED if not planned.every_candidate])
def test_every_property_holds_where_threads_share_the_work(scan_path, planned):
    case = planned.case
    for name in generic.names(KERNELS[case.kernel]):
        if name != "threads":
            task = make_task("property", scan_path, case=case, implementation="batched", property=name)
            reply = execute(task)
            assert isinstance(reply, tasks.PropertyReply), reply
            assert reply.passed, (name, reply)


@pytest.mark.tensorflow
def test_the_large_probed_cases_are_shared_by_threads():
    from ptycho.patches import _RANGE_PIXELS

    extraction, placement = (of(planned.case) for planned in PROBED[2::2])
    assert extraction.batch * extraction.N**2 * extraction.gridsize**2 >= 2 * _RANGE_PIXELS
    assert placement.batch * placement.M**2 >= 2**20


@pytest.mark.tensorflow
def test_the_property_of_threads_asks_the_checkout_that_is_measured(scan_path, tmp_path, monkeypatch):
    """Also where the command is started in a folder that holds another ``ptycho``."""
    (tmp_path / "ptycho").mkdir()
    (tmp_path / "ptycho" / "__init__.py").write_text("raise RuntimeError('the wrong ptycho')\n")
    monkeypatch.chdir(tmp_path)
    case = case_of("patch_extraction")
    task = make_task("property", scan_path, case=case, implementation="batched", property="threads")
    found = checked("threads", oracle.extract_patches, case, scan_path, Afresh(task, tmp_path, execute))
    assert found.passed, found
