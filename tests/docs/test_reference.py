"""Reference pages say what the code says."""

import re
import subprocess
import sys

from reports.judging.policy import read_policy
from reports.reading.verdict import EXIT_CODES
from tests.docs.pages import ROOT
from validation.contract import errors


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_what_the_command_lines_say():
    # In a process of its own: a command keeps the help option of whoever called it first.
    program = "import sys; from tests.docs import cli_reference; sys.stdout.write(cli_reference.text())"
    made = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert page("cli.md") == made, "docs/cli.md is behind; run: python -m tests.docs.cli_reference"


def test_the_exit_codes_of_the_gate_are_those_of_the_code():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d) \|", page("exit-codes.md"), re.MULTILINE))
    assert {name: int(code) for name, code in rows.items()} == EXIT_CODES


def test_the_exit_codes_of_errors_are_those_of_the_code():
    rows = dict(re.findall(r"^\| `(\w+Error)` \| (\d+) \|", page("exit-codes.md"), re.MULTILINE))
    classes = (errors.UsageError, errors.InstrumentError, errors.NothingRanError)
    assert {name: int(code) for name, code in rows.items()} == {kind.__name__: kind.exit_code for kind in classes}


def test_the_promised_numbers_are_those_of_the_policy():
    rules = read_policy()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", page("gate.md"), re.MULTILINE))
    assert rows["speed"] == rows["cold_speed"] == f"{rules.speed.min_speedup:g}x"
    assert rules.speed.min_cold_speedup == rules.speed.min_speedup
    assert rows["memory"] == f"{rules.memory.max_ratio:.2f}x"
    assert rows["reassembly"] == f"{rules.reassembly.min_speedup:g}x from {rules.reassembly.min_patches} patches on"
    assert rows["oracle_agreement"] == rows["correctness"] == f"atol {rules.atol:.0e}, rtol 0".replace("e-0", "e-")
