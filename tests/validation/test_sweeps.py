"""A sweep says before it runs which cases it holds."""

import itertools

import msgspec
import pytest

from tests.validation.builders import SCAN
from validation.contract.errors import UsageError
from validation.kernels.patches import catalogue
from validation.kernels.patches.workloads import PATTERNS
from validation.plan.sweeps import ALL_CHECKS, make_case, select

AXES = (
    catalogue.PATCH_SIZES,
    catalogue.GRIDSIZES,
    catalogue.BATCHES,
    PATTERNS,
    catalogue.OBJECT_SHAPES,
    catalogue.DTYPES,
)


def axis_values(case):
    return (case.N, case.gridsize, case.batch, case.pattern, (case.height, case.width), case.dtype)


@pytest.fixture(scope="module")
def full():
    return catalogue.expand("full", SCAN, 0)


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
    assert set(itertools.product(catalogue.PATCH_SIZES, PATTERNS, catalogue.DTYPES)) <= found


def test_full_holds_all_corners_of_the_ranges(extraction_rows):
    found = {row[:3] for row in extraction_rows}
    assert set(itertools.product((32, 256), (1, 3), (0, 1, 5000))) <= found


def test_full_measures_the_reference_case_that_was_promised(full):
    (reference,) = [planned for planned in full.cases if planned.case.case_id == full.reference_case_id]
    case = reference.case
    assert (case.batch, case.gridsize, case.N, case.kernel) == (5000, 2, 64, "patch_extraction")
    assert reference.checks == ("equivalence", "time", "memory")
    assert not reference.optional
    assert not full.provisional


def test_full_times_every_N_gridsize_and_dtype_at_the_same_number_of_patches(full):
    cells = {
        (planned.case.N, planned.case.gridsize, planned.case.dtype): planned.case
        for planned in full.cases
        if planned.context and planned.case.kernel == "patch_extraction" and planned.case.batch <= 100
    }
    assert set(cells) == set(itertools.product(catalogue.PATCH_SIZES, catalogue.GRIDSIZES, catalogue.DTYPES))
    assert {case.batch * case.gridsize**2 for case in cells.values()} == {99, 100}
    assert {(case.height, case.width, case.pattern) for case in cells.values()} == {(*SCAN.object_shape, "scan")}


def test_full_times_a_scaling_series_of_five_decades(full):
    series = {
        planned.case.batch * 4: planned.optional
        for planned in full.cases
        if "time" in planned.checks and (planned.case.N, planned.case.gridsize) == (32, 2)
        if planned.case.dtype == "complex64"
    }
    assert series == {10**2: False, 10**3: False, 10**4: False, 10**5: False, 10**6: True}


@pytest.mark.parametrize("name", ["full", "nightly"])
def test_what_a_verdict_rests_on_is_never_context(name):
    sweep = catalogue.expand(name, SCAN, 0)
    judged = [p for p in sweep.cases if p.case.case_id in (sweep.reference_case_id, sweep.reassembly_case_id)]
    assert [(p.context, p.checks) for p in judged] == [(False, ALL_CHECKS)] * 2


def test_a_sweep_whose_reference_case_is_context_is_refused(full):
    cases = tuple(msgspec.structs.replace(p, context=True) for p in full.cases)
    with pytest.raises(UsageError, match=r"needs all its replicates, but .*B5000.* is declared as context"):
        msgspec.structs.replace(full, cases=cases)


def test_only_cases_that_need_more_than_most_machines_have_are_optional(full):
    optional = [planned.case for planned in full.cases if planned.optional]
    assert all(catalogue.output_bytes(case.N, case.gridsize, case.batch) > 3 * 2**30 for case in optional)
    assert len(optional) == 2


@pytest.mark.parametrize("name", list(catalogue.BUILT_IN))
def test_a_sweep_names_each_case_once_and_the_same_for_the_same_seed(name):
    first, second = (catalogue.expand(name, SCAN, 3) for _ in range(2))
    ids = [planned.case.case_id for planned in first.cases]
    assert len(set(ids)) == len(ids)
    assert first == second
    assert all(planned.case.seed == 3 for planned in first.cases)


def test_another_seed_gives_other_case_ids():
    ids = [{planned.case.case_id for planned in catalogue.expand("quick", SCAN, seed).cases} for seed in (0, 1)]
    assert not ids[0] & ids[1]


def test_what_can_be_evidence_declares_one_extension_and_quick_none():
    declared = {name: catalogue.expand(name, SCAN, 0).protocol for name in ("quick", "full", "nightly")}
    pairs = {name: (protocol.replicates, protocol.max_replicates) for name, protocol in declared.items()}
    assert pairs == {"quick": (7, 7), "full": (7, 14), "nightly": (7, 14)}


def test_quick_and_smoke_are_no_evidence():
    assert all(catalogue.expand(name, SCAN, 0).provisional for name in ("smoke", "quick"))


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
        ({"kernel": "warp"}, "kernel must be patch_extraction or reassembly, got 'warp'"),
        ({"kernel": "reassembly", "M": 65}, r"M must lie in 1\.\.N = 1\.\.64, got 65"),
    ],
)
def test_a_value_out_of_range_is_refused(change, message):
    values = {"kernel": "patch_extraction", "N": 64, "gridsize": 2, "batch": 3, "shape": (9, 8), "pattern": "zero"}
    values |= change
    with pytest.raises(UsageError, match=message):
        make_case(values.pop("kernel"), **values)


def test_filters_keep_what_matches_all_of_them_and_make_the_sweep_provisional(full):
    kept = select(full, text="border c128", N=(32, 64))
    assert kept.provisional
    assert kept.cases
    for planned in full.cases:
        case = planned.case
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
    sweep = catalogue.expand(str(path), SCAN, 5)
    assert [(p.case.N, p.case.batch, p.case.pattern, p.case.height) for p in sweep.cases] == [
        (16, 0, "border", 20),
        (16, 3, "border", 20),
        (32, 0, "border", 20),
        (32, 3, "border", 20),
        (64, 7, "scan", SCAN.object_shape[0]),
    ]
    assert sweep.reference_case_id == sweep.cases[-1].case.case_id
    assert (sweep.name, sweep.provisional, sweep.seed) == ("mine", False, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases = [", "does not describe a sweep"),
        ("[[cases]]\nsize = [3]", "unknown field `size`"),
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
        catalogue.expand(str(path), SCAN, 0)


def test_an_unknown_sweep_is_refused_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"must be one of smoke, quick, full, nightly, peers or a file that ends in \.toml, got 'huge'"
    ):
        catalogue.expand("huge", SCAN, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"N": (33,)}, "N must be an even positive integer, got 33"),
        ({"gridsize": (0,)}, "gridsize must be a positive integer, got 0"),
        ({"batch": (-1,)}, "batch must not be negative, got -1"),
    ],
)
def test_a_filter_that_no_case_can_match_is_refused_as_bad_input(values, message):
    with pytest.raises(UsageError, match=message):
        select(catalogue.expand("smoke", SCAN, 0), **values)


@pytest.mark.parametrize("shape", [(40, 50), (227, 226), (512, 512), (4000, 4000)])
def test_the_quick_reference_case_has_a_loop_that_is_timed_as_one_whatever_the_scan(shape):
    sweep = catalogue.expand("quick", msgspec.structs.replace(SCAN, object_shape=shape), 0)
    case = next(p.case for p in sweep.cases if p.case.case_id == sweep.reference_case_id)
    assert 1000 <= case.batch * case.gridsize**2 <= 4000


@pytest.mark.tensorflow
def test_full_takes_every_way_to_place_over_more_than_one_chunk(full):
    from ptycho.placement import default_chunk_size
    from validation.kernels.registry import KERNELS

    assert len(KERNELS["reassembly"].candidates) > 1
    chunk = default_chunk_size(20)
    swept = [planned.case for planned in full.cases if planned.every_candidate and planned.case.kernel == "reassembly"]
    assert any(case.M == 20 and case.batch > chunk and case.batch % chunk for case in swept)
    assert "outside" in {case.pattern for case in swept}


@pytest.mark.tensorflow
def test_full_takes_every_way_to_extract_over_several_chunks_and_a_rest(full):
    from ptycho.patches import default_chunk_size

    swept = [p.case for p in full.cases if p.every_candidate and p.case.kernel == "patch_extraction"]
    batches = [(case.batch, default_chunk_size(case.N, case.gridsize**2)) for case in swept]
    assert any(batch > 2 * chunk and batch % chunk for batch, chunk in batches)


def test_full_compares_outputs_of_the_judged_sizes_whole_with_the_loop_on_two_inputs(full):
    from validation.kernels.patches.law import ReferenceLaw

    law = ReferenceLaw()
    compared = [planned.case for planned in full.cases if law.reason_to_leave_out(planned) is None]
    for judged in (full.reference_case_id, full.reassembly_case_id):
        case = next(case for case in compared if case.case_id == judged)
        alike = [
            other
            for other in compared
            if (other.kernel, other.N, other.gridsize, other.batch, other.M, other.height, other.width)
            == (case.kernel, case.N, case.gridsize, case.batch, case.M, case.height, case.width)
        ]
        assert {other.pattern for other in alike} >= {"scan", "fermat"}
