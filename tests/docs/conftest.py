"""The site, built once for all tests that look at it."""

import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def build():
    """Builds the site into a folder as `make docs` does; gives what it said, too."""
    recipe = re.search(r"^\t\$\(BIN\)/python (-m sphinx .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]

    def build(folder):
        words = [str(folder / word) if word.startswith("build/") else word for word in recipe.split()]
        return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)

    return build


@pytest.fixture(scope="session")
def site(build, tmp_path_factory):
    """Folder of the built site."""
    folder = tmp_path_factory.mktemp("docs")
    done = build(folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "build" / "site"
