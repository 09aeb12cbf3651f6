"""Every public function and class of ptycho is fuzzed in this folder, or it is said why not."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import ptycho

FUZZED = {
    "config.config.InferenceConfig",
    "config.config.ModelConfig",
    "config.config.TrainingConfig",
    "config.config.legacy_items",
    "config.config.update_legacy_dict",
    "params.get",
    "params.set",
    "params.validate",
    "projective_warp_xla.translate_xla",
    "raw_data.RawData",
    "raw_data.RawData.from_npz",
    "raw_data.RawData.group",
    "raw_data.get_image_patches",
    "scan_file.read_arrays",
    "stream.iter_patches",
    "stream.patch_dataset",
    "tf_helper.pad",
    "tf_helper.reassemble_position",
    "tf_helper.reassemble_position_old",
    "tf_helper.shift_and_sum",
    "tf_helper.shift_and_sum_old",
    "tf_helper.translate",
}

NOT_FUZZED = {
    "it gets what the user passed, through what is fuzzed": {
        "checks.check_N_and_gridsize",
        "checks.check_finite",
        "checks.check_flat_offsets",
        "checks.check_integer",
        "checks.check_memory",
        "checks.check_object",
        "checks.check_padded",
        "checks.check_patch_size",
        "checks.check_patches",
        "checks.check_tensor",
        "checks.memory_bytes",
        "checks.flat_positions",
        "checks.group_offsets",
        "raw_data.check_arguments",
        "raw_data.chosen_chunk_size",
        "raw_data.pad_object",
        "raw_data.prepare",
        "raw_data.setting",
        "scan_file.read_headers",
    },
    "it gets what was checked, from what is fuzzed": {
        "kernel_ir.translate",
        "machine_code.load",
        "machine_code.undefined_symbols",
        "native.as_array",
        "native.as_tensor",
        "native.compiled",
        "native.empty_aligned",
        "native.flat_view",
        "native.run_in_ranges",
        "native.subnormals",
        "native.touch",
        "patches.default_chunk_size",
        "placement.default_chunk_size",
        "patches.extract",
        "placement.place_graph",
        "placement.place_native",
    },
    "it takes no argument": {
        "machine_code.compiler",
        "machine_code.folders",
        "native.available",
        "native.nothing_compiled_yet",
        "native.thread_count",
        "params.defaults",
    },
    "it is what a call returns": {"raw_data.Groups"},
}


def public_names():
    """Name the functions, classes and methods without an underscore, each in the module where it is made."""
    for module in pkgutil.walk_packages(ptycho.__path__, "ptycho."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.startswith("_") or not callable(value) or getattr(value, "__module__", None) != module.name:
                continue
            full = f"{module.name.removeprefix('ptycho.')}.{name}"
            yield full
            if isinstance(value, type):
                methods = [inner for inner in vars(value) if not inner.startswith("_")]
                yield from (f"{full}.{inner}" for inner in methods if callable(getattr(value, inner)))


def used_names():
    """Names and attributes in the fuzz tests; examples by themselves do not count."""
    folder = Path(__file__).parent
    for path in {*folder.glob("*.py")} - {Path(__file__), folder / "test_found.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Name, ast.Attribute)):
                yield node.id if isinstance(node, ast.Name) else node.attr


@pytest.mark.tensorflow
def test_every_public_function_and_class_is_fuzzed_or_it_is_said_why_not():
    listed = [*FUZZED, *(name for names in NOT_FUZZED.values() for name in names)]
    assert len(listed) == len(set(listed))
    found = set(public_names())
    new, gone = sorted(found - set(listed)), sorted(set(listed) - found)
    assert not new, f"write a fuzz test of {', '.join(new)} and add it to FUZZED, or say in NOT_FUZZED why not"
    assert not gone, f"there is no {', '.join(gone)} any more; take it off the lists"


def test_what_is_listed_as_fuzzed_is_used_by_a_fuzz_test():
    used = set(used_names())
    unused = {name for name in FUZZED if name.rpartition(".")[2] not in used}
    assert not unused, f"write a fuzz test of {', '.join(sorted(unused))}"
