"""A ledger of the faults: what was tried, and what came of it. `tests/conftest.py` prints it as a table."""

import collections
import dataclasses

import pytest

from tests.faults import runs

_outcome = pytest.StashKey()


@dataclasses.dataclass
class Row:
    """One fault: how often it was tried, results lost and counted twice, exit codes and the message."""

    fault: str
    tries: int = 0
    lost: int = 0
    twice: int = 0
    codes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    said: str = ""
    held: bool = False

    def cells(self):
        codes = ", ".join(f"{code} ({count}x)" if count > 1 else f"{code}" for code, count in self.codes.items())
        said = " ".join(self.said.split()) or "-"
        held = "yes" if self.held else "NO"
        return (self.fault, str(self.tries), str(self.lost), str(self.twice), codes or "-", said, held)

    def ended(self, code, said=""):
        """Note a command's exit code, and what it said."""
        self.codes[code] += 1
        if said:
            self.said = said

    def count(self, keys, planned):
        """Note what is missing from, and repeated in, the lines that should be those planned."""
        found = collections.Counter(keys)
        self.lost += sum(key not in found for key in planned)
        self.twice += sum(number - 1 for number in found.values())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.stash[_outcome] = report.passed
    return report


@pytest.fixture
def fault(request):
    """Open a row of the table: ``fault("full disk")``. It held if the test passes and nothing was lost or repeated."""
    opened = []

    def open_row(name):
        opened.append(Row(name))
        return opened[-1]

    yield open_row
    passed = request.node.stash.get(_outcome, False)
    for row in opened:
        row.held = passed and row.tries > 0 and row.lost == row.twice == 0
        # With the report it comes to the process that prints the table, also from a worker.
        request.node.user_properties.append(("fault", row.cells()))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder with a sweep file and its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "sweep.toml").write_text(runs.FEW)
    done = runs.finish(folder / "sweep.toml", folder / "run", timeout=250)
    assert done.returncode == 0, done.stderr
    return folder
