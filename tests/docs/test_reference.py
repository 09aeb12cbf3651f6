"""Reference pages say what the code says."""

import re

from reports.judging.policy import read_policy
from reports.reading.verdict import EXIT_CODES
from tests.docs.pages import ROOT
from validation.contract import errors
from validation.kernels.patches.promise import promise


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_exit_codes_of_the_gate_are_those_of_the_code():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d) \|", page("exit-codes.md"), re.MULTILINE))
    assert {name: int(code) for name, code in rows.items()} == EXIT_CODES


def test_the_exit_codes_of_errors_are_those_of_the_code():
    rows = dict(re.findall(r"^\| `(\w+Error)` \| (\d+) \|", page("exit-codes.md"), re.MULTILINE))
    classes = (errors.UsageError, errors.InstrumentError, errors.NothingRanError)
    assert {name: int(code) for name, code in rows.items()} == {kind.__name__: kind.exit_code for kind in classes}


def test_the_promised_numbers_are_those_of_the_promise():
    promised = promise()
    extraction, placement = promised.patch_extraction, promised.reassembly
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", page("gate.md"), re.MULTILINE))
    assert rows["speed"] == f"{extraction.speed:g}x"
    assert rows["cold_speed"] == f"{extraction.cold_speed:g}x"
    assert rows["memory"] == f"{extraction.memory:.2f}x"
    assert rows["reassembly"] == f"{placement.speed:g}x from {placement.min_patches} patches on"
    assert rows["oracle_agreement"] == rows["correctness"] == f"atol {promised.atol:.0e}, rtol 0".replace("e-0", "e-")


def test_the_policy_that_the_page_shows_is_one_and_says_how_the_package_measures(tmp_path):
    (shown,) = re.findall(r"```toml\n(.*?)```", page("gate.md"), re.DOTALL)
    path = tmp_path / "policy.toml"
    path.write_text(shown)
    mine = read_policy(path)
    assert (mine.speed, mine.memory) == (read_policy().speed, read_policy().memory)
    assert (mine.atol, set(mine.promise)) == (1e-6, {"speed", "memory"})
