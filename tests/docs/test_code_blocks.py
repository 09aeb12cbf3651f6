"""Code in the documentation works: Python runs, short shell sessions run, longer commands exist as written.

A page is a session: its blocks share a folder, and Python blocks that no shell session parts share an interpreter.
Behind the fence of a shell block, ``run`` has it executed and ``exit=N`` says what it ends with; ``file=NAME`` behind
any fence has it saved under that name, as the reader is told to. A Python block with ``notest`` is only compiled.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.docs import commands, pages
from tests.docs.pages import NAMES, ROOT

SHELL = ("sh", "bash", "")
LANGUAGES = (*SHELL, "python", "toml", "json", "yaml", "text", "ini", "make")
BLOCKS = [block for name in NAMES for block in pages.blocks(name)]
SESSIONS = [name for name in NAMES if any(block.is_run for block in pages.blocks(name))]


def name_of(block):
    return f"{block.page}:{block.line}"


@pytest.mark.parametrize("block", BLOCKS, ids=name_of)
def test_a_code_block_says_what_it_is_and_can_be_read(block):
    assert block.language in LANGUAGES, f"{block.info!r} is none of {', '.join(LANGUAGES)}"
    if block.language == "toml":
        msgspec.toml.decode(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        assert msgspec.yaml.decode(block.text)
    elif block.language == "python":
        compile(block.text, name_of(block), "exec")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in SHELL], ids=name_of)
def test_every_shell_command_exists_as_written(block):
    commands.check_block(block.text)


def environment():
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def in_turn(page, folder):
    """Give the programs of a session in order, each with the exit code it should end with; files are saved on the way.

    Python blocks that follow each other are one program, whose line numbers are those of the page.
    """
    program = ""
    for block in pages.blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text)
        elif block.language == "python" and block.is_run:
            program += "\n" * (block.line - program.count("\n")) + block.text
        elif block.is_run:
            if program:
                yield [sys.executable, "-c", program], 0
            program = ""
            yield ["bash", "-eu", "-o", "pipefail", "-c", block.text], block.exit_code
    if program:
        yield [sys.executable, "-c", program], 0


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("page", SESSIONS)
def test_a_session_runs_from_top_to_bottom(page, tmp_path):
    for words, expected in in_turn(page, tmp_path):
        done = subprocess.run(
            words, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode == expected, f"{words[-1]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize(
    "text",
    [
        "make gates",
        "make gate SCAN=x",
        "python -m validation run --sweeep quick --out runs/x",
        "python -m validation measure",
        "python -m reports gate",
        "python -m reports gate DIR && python -m reports records DIR",
        "asv run --frobnicate",
        "python -m pytest tests/no_such_test.py",
        "frobnicate",
    ],
)
def test_a_command_that_does_not_exist_is_seen(text):
    with pytest.raises(commands.WrongCommandError):
        commands.check_block(text)
