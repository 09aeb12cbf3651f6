"""A sweep says before it runs which cases it holds."""

import itertools

import msgspec
import pytest

from tests.validation.builders import SCAN
from validation.contract.cases import ALL_CHECKS
from validation.contract.errors import UsageError
from validation.kernels import registry
from validation.kernels.patches.case import DTYPES, PATTERNS, make_case, of
from validation.kernels.patches.sweeps.design import BATCHES, GRIDSIZES, OBJECT_SHAPES, PATCH_SIZES, output_bytes
from validation.kernels.registry import Kernels
from validation.plan import sweeps
from validation.plan.sweeps import BUILT_IN, parse_filters, select

KERNELS = Kernels(registry.built_in())
AXES = (PATCH_SIZES, GRIDSIZES, BATCHES, PATTERNS, OBJECT_SHAPES, DTYPES)


def expand(name, scan, seed):
    return sweeps.expand(name, KERNELS, scan, seed)


def judged_cases(sweep):
    """Ids of the cases that the verdict rests on, by kernel."""
    ids = {item.case_id for item in sweep.judged}
    return {planned.case.kernel: planned.case.case_id for planned in sweep.cases if planned.case.case_id in ids}


def axis_values(case):
    case = of(case)
    return (case.N, case.gridsize, case.batch, case.pattern, (case.height, case.width), case.dtype)


@pytest.fixture(scope="module")
def full():
    return expand("full", SCAN, 0)


@pytest.fixture(scope="module")
def extraction_rows(full):
    return [axis_values(planned.case) for planned in full.cases if planned.case.kernel == "patch_extraction"]


@pytest.mark.parametrize("axes", list(itertools.combinations(range(6), 2)))
def test_full_holds_every_pair_of_values(extraction_rows, axes):
    first, second = axes
    found = {(row[first], row[second]) for row in extraction_rows}
    assert set(itertools.product(AXES[first], AXES[second])) <= found


def test_full_holds_every_pattern_and_dtype_with_every_N(extraction_rows):
    found = {(row[0], row[3], row[5]) for row in extraction_rows}
    assert set(itertools.product(PATCH_SIZES, PATTERNS, DTYPES)) <= found


def test_full_holds_all_corners_of_the_ranges(extraction_rows):
    found = {row[:3] for row in extraction_rows}
    assert set(itertools.product((32, 256), (1, 3), (0, 1, 5000))) <= found


def test_full_measures_the_reference_case_that_was_promised(full):
    judged = judged_cases(full)["patch_extraction"]
    (reference,) = [planned for planned in full.cases if planned.case.case_id == judged]
    case = of(reference.case)
    assert (case.batch, case.gridsize, case.N, case.kernel) == (5000, 2, 64, "patch_extraction")
    assert reference.checks == ("equivalence", "time", "memory")
    assert not reference.optional
    assert not full.provisional


def test_full_times_every_N_gridsize_and_dtype_at_the_same_number_of_patches(full):
    cells = {
        (case.N, case.gridsize, case.dtype): case
        for planned in full.cases
        if planned.context and (case := of(planned.case)).kernel == "patch_extraction" and case.batch <= 100
    }
    assert set(cells) == set(itertools.product(PATCH_SIZES, GRIDSIZES, DTYPES))
    assert {case.batch * case.gridsize**2 for case in cells.values()} == {99, 100}
    assert {(case.height, case.width, case.pattern) for case in cells.values()} == {(*SCAN.object_shape, "scan")}


def test_full_times_a_scaling_series_of_five_decades(full):
    series = {
        planned.case.work: planned.optional
        for planned in full.cases
        if "time" in planned.checks and axis_values(planned.case)[:2] == (32, 2)
        if planned.case.params["dtype"] == "complex64"
    }
    assert series == {10**2: False, 10**3: False, 10**4: False, 10**5: False, 10**6: True}


@pytest.mark.parametrize("name", ["full", "nightly"])
def test_what_a_verdict_rests_on_is_never_context(name):
    sweep = expand(name, SCAN, 0)
    judged = [p for p in sweep.cases if p.case.case_id in judged_cases(sweep).values()]
    assert [(p.context, p.checks) for p in judged] == [(False, ALL_CHECKS)] * 2


def test_a_sweep_whose_reference_case_is_context_is_refused(full):
    cases = tuple(msgspec.structs.replace(p, context=True) for p in full.cases)
    with pytest.raises(UsageError, match=r"needs all its replicates, but .*B5000.* is declared as context"):
        msgspec.structs.replace(full, cases=cases)


def test_only_cases_that_need_more_than_most_machines_have_are_optional(full):
    optional = [of(planned.case) for planned in full.cases if planned.optional]
    assert all(output_bytes(case.N, case.gridsize, case.batch) > 3 * 2**30 for case in optional)
    assert len(optional) == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_sweep_names_each_case_once_and_the_same_for_the_same_seed(name):
    first, second = (expand(name, SCAN, 3) for _ in range(2))
    ids = [planned.case.case_id for planned in first.cases]
    assert len(set(ids)) == len(ids)
    assert first == second
    assert all(planned.case.seed == 3 for planned in first.cases)


def test_another_seed_gives_other_case_ids():
    ids = [{planned.case.case_id for planned in expand("quick", SCAN, seed).cases} for seed in (0, 1)]
    assert not ids[0] & ids[1]


def test_what_can_be_evidence_declares_one_extension_and_quick_none():
    declared = {name: expand(name, SCAN, 0).protocol for name in ("quick", "full", "nightly")}
    pairs = {name: (protocol.replicates, protocol.max_replicates) for name, protocol in declared.items()}
    assert pairs == {"quick": (7, 7), "full": (7, 14), "nightly": (7, 14)}


def test_quick_and_smoke_are_no_evidence():
    assert all(expand(name, SCAN, 0).provisional for name in ("smoke", "quick"))


def test_a_case_id_says_what_the_case_is():
    case = make_case(
        "patch_extraction", N=64, gridsize=2, batch=100, shape=(256, 200), pattern="fermat", dtype="complex64"
    )
    assert case.case_id == "patch_extraction-N64-g2-B100-c64-256x200-fermat-s0"
    placed = make_case("reassembly", N=64, gridsize=1, batch=5, shape=(30, 40), pattern="raster", M=20, seed=7)
    assert placed.case_id == "reassembly-N64-g1-B5-c64-30x40-raster-s7-M20"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N": 63}, "N must be an even positive integer, got 63"),
        ({"N": 0}, "N must be an even positive integer, got 0"),
        ({"gridsize": 0}, "gridsize must be a positive integer, got 0"),
        ({"batch": -1}, "batch must not be negative, got -1"),
        ({"shape": (0, 5)}, "height and width must be positive, got 0 and 5"),
        ({"pattern": "spiral"}, "pattern must be one of .*, got 'spiral'"),
        ({"dtype": "float32"}, "dtype must be one of complex64, complex128, got 'float32'"),
        ({"kernel": "reassembly", "M": 65}, r"M must lie in 1\.\.N = 1\.\.64, got 65"),
    ],
)
def test_a_value_out_of_range_is_refused(change, message):
    values = {"kernel": "patch_extraction", "N": 64, "gridsize": 2, "batch": 3, "shape": (9, 8), "pattern": "zero"}
    values |= change
    with pytest.raises(UsageError, match=message):
        make_case(values.pop("kernel"), **values)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": 3}, "patch_extraction has the parameters N, gridsize, .*; missing or unknown: size"),
        ({"N": 63}, "N must be an even positive integer, got 63"),
        ({"batch": "3"}, "batch must be an integer, got '3'"),
    ],
)
def test_a_kernel_refuses_parameters_that_it_has_not_or_that_are_not_possible(params, message):
    case = make_case("patch_extraction", N=64, gridsize=2, batch=3, shape=(9, 8), pattern="zero")
    assert KERNELS["patch_extraction"].case(**case.params) == case
    with pytest.raises(UsageError, match=message):
        KERNELS["patch_extraction"].case(**{**case.params, **params})


def test_filters_keep_what_matches_all_of_them_and_make_the_sweep_provisional(full):
    kept = select(full, text="border c128", where=parse_filters(KERNELS, ["N=32", "N=64"]))
    assert kept.provisional
    assert kept.cases
    for planned in full.cases:
        case = of(planned.case)
        matches = case.pattern == "border" and case.dtype == "complex128" and case.N in (32, 64)
        assert (planned in kept.cases) == matches


def test_no_filter_leaves_the_sweep_as_it_is(full):
    assert select(full) == full


SWEEP = """
provisional = false

[[cases]]
N = [16, 32]
batch = [0, 3]
pattern = ["border"]
shape = [[20, 30]]

[[cases]]
N = [64]
batch = [7]
checks = ["equivalence", "time"]
reference = true
"""


def test_a_sweep_file_multiplies_its_lists_out(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SWEEP)
    sweep = expand(str(path), SCAN, 5)
    found = [of(planned.case) for planned in sweep.cases]
    assert [(case.N, case.batch, case.pattern, case.height) for case in found] == [
        (16, 0, "border", 20),
        (16, 3, "border", 20),
        (32, 0, "border", 20),
        (32, 3, "border", 20),
        (64, 7, "scan", SCAN.object_shape[0]),
    ]
    assert sweep.judged == KERNELS["patch_extraction"].judged(sweep.cases[-1].case)
    assert (sweep.name, sweep.provisional, sweep.seed) == ("mine", False, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases = [", "does not describe a sweep"),
        ("[[cases]]\nsize = [3]", "patch_extraction has the parameters .*; missing or unknown: size"),
        ("[[cases]]\nkernel = 'warp'", "kernel must be one of patch_extraction, reassembly, got 'warp'"),
        ("[[cases]]\nshape = [3]", r"shape must be a list of \[height, width\], got \[3\]"),
        ("[[cases]]\nN = [63]", "N must be an even positive integer, got 63"),
        ("[[cases]]\n[[cases]]\n", "must name each case once"),
        ("cases = []", "must hold at least one case"),
        ("[[cases]]\nN = [16, 32]\nreference = true", "must mark one case with reference = true, got 2"),
        ("[[cases]]\ncontext = true", "needs all its replicates"),
        (
            "[[cases]]\n[protocol]\nreplicates = 7\nmax_replicates = 10\nsamples = 5\ndiscarded = 2\n"
            "min_sample_s = 0.01\nmemory_pairs = 5",
            r"max_replicates must be replicates \(7, no extension\) or twice that, got 10",
        ),
    ],
)
def test_a_sweep_file_that_is_none_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        expand(str(path), SCAN, 0)


def test_an_unknown_sweep_is_refused_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"must be one of smoke, quick, full, nightly, peers or a file that ends in \.toml, got 'huge'"
    ):
        expand("huge", SCAN, 0)


@pytest.mark.parametrize("word", ["size=3", "N", "=3", ""])
def test_a_filter_that_names_no_parameter_is_refused_as_bad_input(word):
    with pytest.raises(UsageError, match=f"--where must be NAME=VALUE with NAME one of N, .*, M, got '{word}'"):
        parse_filters(KERNELS, [word])


def test_a_filter_of_one_kernel_leaves_out_the_cases_of_others(full):
    kept = select(full, where=parse_filters(KERNELS, ["M=20"]))
    assert {planned.case.kernel for planned in kept.cases} == {"reassembly"}
    assert select(full, where=parse_filters(KERNELS, ["N=33"])).cases == ()


@pytest.mark.parametrize("shape", [(40, 50), (227, 226), (512, 512), (4000, 4000)])
def test_the_quick_reference_case_has_a_loop_that_is_timed_as_one_whatever_the_scan(shape):
    sweep = expand("quick", msgspec.structs.replace(SCAN, object_shape=shape), 0)
    case = next(p.case for p in sweep.cases if p.case.case_id == sweep.judged[0].case_id)
    assert 1000 <= case.work <= 4000


@pytest.mark.tensorflow
def test_full_takes_every_way_to_place_over_more_than_one_chunk(full):
    from ptycho.placement import default_chunk_size

    assert len(KERNELS["reassembly"].candidates) > 1
    chunk = default_chunk_size(20)
    every = [of(planned.case) for planned in full.cases if planned.every_candidate]
    swept = [case for case in every if case.kernel == "reassembly"]
    assert any(case.M == 20 and case.batch > chunk and case.batch % chunk for case in swept)
    assert "outside" in {case.pattern for case in swept}


@pytest.mark.tensorflow
def test_full_takes_every_way_to_extract_over_several_chunks_and_a_rest(full):
    from ptycho.patches import default_chunk_size

    swept = [of(p.case) for p in full.cases if p.every_candidate and p.case.kernel == "patch_extraction"]
    batches = [(case.batch, default_chunk_size(case.N, case.gridsize**2)) for case in swept]
    assert any(batch > 2 * chunk and batch % chunk for batch, chunk in batches)


def test_full_compares_outputs_of_the_judged_sizes_whole_with_the_loop_on_two_inputs(full):
    from validation.kernels.patches.law import ReferenceLaw

    law = ReferenceLaw()
    compared = [of(planned.case) for planned in full.cases if law.reason_to_leave_out(planned) is None]
    assert set(judged_cases(full)) == {"patch_extraction", "reassembly"}
    for judged in judged_cases(full).values():
        case = next(case for case in compared if case.case_id == judged)
        alike = [
            other
            for other in compared
            if (other.kernel, other.N, other.gridsize, other.batch, other.M, other.height, other.width)
            == (case.kernel, case.N, case.gridsize, case.batch, case.M, case.height, case.width)
        ]
        assert {other.pattern for other in alike} >= {"scan", "fermat"}
