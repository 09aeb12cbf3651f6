"""`make test` draws the same examples everywhere; who explores draws others, and is told how to draw them again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Draws numbers, words and permutations, after importing a module of the package under test, or not.
PROGRAM = """
import sys
sys.path[:0] = {path!r}
from tests import drawing
drawing.load()
{first}
from hypothesis import given, strategies as st
drawn = []

@given(st.integers(), st.floats(), st.text(max_size=5), st.permutations(range(5)))
def draw(whole, real, word, order):
    drawn.append((whole, real, word, order))

draw()
print(drawn)
"""


def drawn(tmp_path, profile, first="", folder="a"):
    """What a fresh process draws, in a folder of its own: Hypothesis keeps its caches there."""
    own = tmp_path / folder
    own.mkdir()
    environment = {**os.environ, "HYPOTHESIS_PROFILE": profile}
    program = PROGRAM.format(path=[str(ROOT), str(tmp_path)], first=first)
    # From a file: what is drawn depends on the text of the function alone.
    (own / "draws.py").write_text(program)
    done = subprocess.run(
        [sys.executable, own / "draws.py"], cwd=own, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def many_constants(tmp_path):
    (tmp_path / "own_numbers.py").write_text("\n".join(f"a{i} = {10**9 + 7 * i}; b{i} = 'w{i}'" for i in range(500)))
    return "import own_numbers"


def test_the_fixed_examples_are_the_same_in_every_process_whatever_is_imported(tmp_path, many_constants):
    first = drawn(tmp_path, "fixed")
    assert first == drawn(tmp_path, "fixed", many_constants, folder="b")


def test_who_explores_draws_others_at_every_run(tmp_path):
    assert drawn(tmp_path, "explore") != drawn(tmp_path, "explore", folder="b")


def test_an_example_that_fails_while_exploring_says_how_to_make_it_again(tmp_path):
    test = tmp_path / "test_fails.py"
    test.write_text(
        "from hypothesis import given, strategies as st\n\n\n"
        "@given(st.integers())\ndef test_it(number):\n    assert number < 1000\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "explore", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "@reproduce_failure(" in done.stdout
