"""Machine code on disk: kept once, loaded by every later process, never trusted blindly, never a reason to fail."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ptycho import kernel_ir, machine_code, native, patches
from ptycho.raw_data import _get_image_patches_batched, prepare
from ptycho.tf_helper import reassemble_position
from tests.faults.mounts import fill, read_only, small_disk
from tests.ptycho.conftest import PATTERNS, make_object, make_positions, to_offsets

pytestmark = pytest.mark.skipif(machine_code.compiler() is None, reason="needs llvmlite")
KINDS = (("float32", True), ("float32", True), ("float32", False), ("int64", False))


def kernel(values, out, factor, count):
    for i in range(count):
        out[i] = values[i] * factor + values[i]


def run():
    """Load the kernel as a fresh process would, and run it on numbers whose product is rounded."""
    values = np.linspace(0.1, 7, 37, dtype=np.float32)
    out = np.zeros_like(values)
    code = machine_code.load(kernel, KINDS)
    code(values.ctypes.data, out.ctypes.data, np.float32(1 / 3), len(values))
    return out


@pytest.fixture
def compilations(monkeypatch):
    """Count the compilations."""
    done, compile_ = [], machine_code._compile
    monkeypatch.setattr(machine_code, "_compile", lambda *arguments: done.append(1) or compile_(*arguments))
    return done


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder for machine code, which does not exist yet."""
    path = tmp_path / "first"
    monkeypatch.setattr(machine_code, "folders", lambda: [path])
    return path


def entry(folder):
    (path,) = folder.iterdir()
    return path


def test_code_is_compiled_once_and_the_loaded_one_gives_the_same_bits(folder, compilations):
    first = run()
    assert entry(folder).name.startswith("test_machine_code.kernel-")
    np.testing.assert_array_equal(run(), first)
    assert len(compilations) == 1
    exact = np.linspace(0.1, 7, 37, dtype=np.float32).astype(float) * (1 + float(np.float32(1 / 3)))
    np.testing.assert_allclose(first, exact, rtol=1e-7)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-400] + bytes([content[-400] ^ 1]) + content[-399:],
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "cut in the digest", "truncated", "longer", "one bit", "zeros"],
)
def test_a_damaged_entry_is_made_again_and_mended(folder, compilations, monkeypatch, damage):
    expected, path = run(), entry(folder)
    sound, loaded = path.read_bytes(), []
    path.write_bytes(damage(sound))
    address = machine_code._address
    monkeypatch.setattr(machine_code, "_address", lambda code: loaded.append(code) or address(code))
    np.testing.assert_array_equal(run(), expected)
    assert loaded == [sound[machine_code._DIGEST_BYTES :]]
    assert len(compilations) == 2
    assert entry(folder).read_bytes() == sound


def test_an_entry_of_another_kernel_under_this_name_is_not_run(folder, compilations):
    expected, path = run(), entry(folder)
    foreign = path.with_name("foreign")
    path.rename(foreign)
    machine_code.load(kernel, (("float64", True), ("float64", True), ("float64", False), ("int64", False)))
    (other,) = set(folder.iterdir()) - {foreign}
    other.rename(path)
    foreign.unlink()
    np.testing.assert_array_equal(run(), expected)
    assert len(compilations) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setitem(machine_code.FLAGS, "fast_math", "contract reassoc"),
        lambda patch: patch.setitem(machine_code.FLAGS, "loop_vectorization", False),
        lambda patch: patch.setattr(machine_code, "_processor", lambda: ("x86_64-unknown-linux-gnu", "x86-64", "")),
        lambda patch: patch.setattr("llvmlite.__version__", "0.0.1"),
        lambda patch: patch.setattr(machine_code.compiler(), "llvm_version_info", (1, 2, 3)),
        lambda patch: patch.setattr(kernel_ir, "__file__", patches.__file__),
    ],
    ids=["fast math", "vectorisation", "processor", "llvmlite", "LLVM", "translator"],
)
def test_code_of_other_flags_compilers_and_processors_is_not_taken(folder, compilations, monkeypatch, change):
    run()
    change(monkeypatch)
    key = machine_code._key(kernel, KINDS)
    monkeypatch.undo()
    assert key != machine_code._key(kernel, KINDS)


def test_the_flag_that_fuses_a_product_and_a_sum_has_its_effect(folder, monkeypatch):
    if "+fma" not in machine_code._processor()[2].split(","):
        pytest.skip("the processor fuses nothing")
    fused = run()
    monkeypatch.setitem(machine_code.FLAGS, "fast_math", "")
    assert (run() != fused).any()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_numba_makes_the_same_bits_of_the_kernels(monkeypatch, dtype):
    numba = pytest.importorskip("numba")
    image = make_object(dtype=dtype)
    offsets = np.concatenate([to_offsets(make_positions(pattern, 8, *image.shape), 2)[0] for pattern in PATTERNS])
    local = np.random.default_rng(0).uniform(-4, 4, (len(offsets), 1, 2, 4))

    def results():
        padded, *rest = prepare(image, offsets, local, 16, 2)
        with tf.GradientTape() as tape:
            tape.watch(padded)
            cut = _get_image_patches_batched(padded, *rest, engine="native")
        placed = reassemble_position(np.ascontiguousarray(cut[:, :, :, :1]), local[:, :, :, :1], 10)
        return [np.ascontiguousarray(array).view(np.int64) for array in (cut, tape.gradient(cut, padded), placed)]

    ours = results()
    options = {"fastmath": {"contract"}, "error_model": "numpy"}
    monkeypatch.setattr(native, "compiled", functools.cache(lambda function: numba.njit(**options)(function)))
    for one, other in zip(ours, results(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "line",
    [
        "while count: count = count - 1", "values[0] = values[count // 3]", "values[0] = abs(values[0])",
        "values[0] += not count", "count = values[0]", "[1, 2]", "for i in values: i = 1", "print(count)",
        "values[0] = unknown", "values[0] = count ** 2",
    ],
)  # fmt: skip
def test_what_a_kernel_may_not_hold_is_refused(monkeypatch, line):
    source = f"def kernel(values, count):\n    {line}\n"
    monkeypatch.setattr(kernel_ir.inspect, "getsource", lambda function: source)
    with pytest.raises(NotImplementedError):
        kernel_ir.translate(None, (("float64", True), ("int64", False)))


def test_a_read_only_folder_gives_way_to_the_next(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    monkeypatch.setattr(machine_code, "folders", lambda: [first, second])
    with read_only(first):
        expected = run()
    assert entry(second)
    np.testing.assert_array_equal(run(), expected)


def test_code_in_a_read_only_folder_is_loaded(folder, compilations):
    expected = run()
    with read_only(folder):
        np.testing.assert_array_equal(run(), expected)
    assert len(compilations) == 1


def test_a_full_disk_costs_the_cache_only(folder, compilations):
    with small_disk(folder, "16k") as mounted:
        if mounted is None:
            pytest.skip("cannot mount")
        folder.chmod(0o755)
        fill(folder)
        expected = run()
        np.testing.assert_array_equal(run(), expected)
        assert {path.name for path in folder.iterdir()} == {"ballast"}
    assert len(compilations) == 2


@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize("change", ["mode", "owner"])
def test_what_another_user_could_have_written_is_not_run(folder, compilations, what, change):
    if change == "owner" and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    expected = run()
    path = folder if what == "folder" else entry(folder)
    if change == "mode":
        path.chmod(0o775 if what == "folder" else 0o664)
    else:
        os.chown(path, 12345, -1)
    np.testing.assert_array_equal(run(), expected)
    assert len(compilations) == 2


def test_code_that_needs_something_from_outside_is_refused():
    llvm = machine_code.compiler()
    module = llvm.parse_assembly(
        "declare void @outside()\ndefine void @kernel() {\ncall void @outside()\nret void\n}\n"
    )
    code = machine_code._target_machine().emit_object(module)
    with pytest.raises(RuntimeError, match="must need nothing from outside, this one needs outside"):
        machine_code._address(code)


def test_no_folder_at_all_is_no_error(monkeypatch, compilations):
    monkeypatch.setattr(machine_code, "folders", list)
    np.testing.assert_array_equal(run(), run())
    assert len(compilations) == 2


def test_the_folders_are_those_that_numba_used(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    package = Path(machine_code.__file__).parent
    assert machine_code.folders() == [tmp_path]
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert machine_code.folders() == [package / "__pycache__", tmp_path / "user" / "ptycho"]


def test_eight_processes_at_once_on_an_empty_cache(tmp_path):
    (tmp_path / "a_kernel.py").write_text(
        "import ctypes\n"
        "from ptycho import machine_code\n"
        "def kernel(values, count):\n"
        "    for i in range(count):\n"
        "        values[i] = values[i] + i\n"
        "values = (ctypes.c_double * 5)(0.5, 0.5, 0.5, 0.5, 0.5)\n"
        "machine_code.load(kernel, (('float64', True), ('int64', False)))(ctypes.addressof(values), 5)\n"
        "assert list(values) == [0.5, 1.5, 2.5, 3.5, 4.5], list(values)\n"
    )
    cache = tmp_path / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(tmp_path / "a_kernel.py")]
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(8)]
    assert [process.communicate()[1] for process in started] == [b""] * 8
    assert entry(cache).name.startswith("__main__.kernel-")


def test_an_import_and_a_first_call_need_neither_numba_nor_scipy(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('numba is broken here')\n")
    code = (
        "import sys, numpy as np\n"
        "import tensorflow\n"
        "before = set(sys.modules)\n"
        "import ptycho.raw_data, ptycho.stream, ptycho.tf_helper\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert new <= {'ptycho', '__future__'}, new\n"
        "zero = np.zeros((1, 1, 2, 1))\n"
        "image = np.ones((9, 9), np.complex64)\n"
        "assert ptycho.raw_data.get_image_patches(image, zero + 4, zero, 4, 1).numpy().all()\n"
        "assert ptycho.native.available() and not ptycho.native.nothing_compiled_yet()\n"
        "assert 'numba' not in sys.modules and 'llvmlite' in sys.modules\n"
    )
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()]), "USE_BATCHED_PATCH_EXTRACTION": "1"
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["llvmlite", "llvmlite.binding"])
def test_without_llvmlite_there_is_no_compiled_engine(monkeypatch, missing):
    monkeypatch.delattr("llvmlite.binding")
    monkeypatch.setitem(sys.modules, missing, None)
    machine_code.compiler.cache_clear()
    try:
        assert not native.available()
        assert patches._default_engine(np.zeros(3)) == "xla"
    finally:
        monkeypatch.undo()
        machine_code.compiler.cache_clear()
    assert native.available()
