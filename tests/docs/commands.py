"""Whether a documented shell command exists, found out without running it.

A make target and its variables, the options of the two command lines and of asv, the paths that are named.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

from tests.docs.pages import ROOT

# Commands of the system, whose options are not this project's to check.
OF_THE_SYSTEM = {".", "[", "bash", "cat", "cd", "chmod", "cp", "cut", "echo", "env", "exit", "export", "head", "ls"}
OF_THE_SYSTEM |= {"mkdir", "mktemp", "nice", "openssl", "rm", "sh", "source", "sudo", "test", "flock", "crontab"}
OF_THE_SYSTEM |= {"journalctl", "loginctl", "systemctl", "systemd-analyze", "sbatch", "scancel", "scrontab", "squeue"}
OF_THE_SYSTEM |= {"dask", "dask-scheduler", "dask-worker"}
# Tools of this project's extras.
OF_THE_SYSTEM |= {"check-jsonschema", "cosmic-ray", "mutmut", "pip", "pre-commit", "ruff", "mypy"}


class WrongCommandError(Exception):
    """A documented command does not exist as written."""


def split(text):
    """Split a block into commands, each a list of words; what stands in ``$( )`` is a command too."""
    text = text.replace("\\\n", " ")
    while inner := re.search(r"\$\(([^()]*)\)", text):
        yield from split(inner[1])
        text = text.replace(inner[0], "VALUE")
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if word and set(word) <= set("&|;"):
                yield words
                words = []
            else:
                words.append(word)
        yield words


def _of_this_project(module, words):
    import click

    from reports.cli import cli as reports
    from validation.cli import cli as validation

    command: click.Command = {"validation": validation, "reports": reports}[module]
    context = None
    try:
        while isinstance(command, click.Group):
            context = click.Context(command, info_name=module, parent=context)
            _, words, _ = command.make_parser(context).parse_args(words)
            if not words:
                return
            name, *words = words
            if name not in command.commands:
                raise WrongCommandError(f"python -m {module} has no command {name}")
            command = command.commands[name]
        command.make_context(name, words, parent=context)
    except click.exceptions.Exit:
        return  # --help
    except click.ClickException as error:
        raise WrongCommandError(error.format_message()) from None


def _make(words):
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and not re.search(rf"\$[({{]{name}\b|\b{name}\b\s*\?=|\$\(if \$\({name}\)", makefile):
            raise WrongCommandError(f"the Makefile does not read {name}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise WrongCommandError(done.stderr.strip())


def _asv(words):
    from asv.commands import make_argparser

    try:
        make_argparser()[0].parse_args(words)
    except SystemExit as left:
        if left.code:
            raise WrongCommandError(f"asv does not take {shlex.join(words)}") from None


def _python(words):
    if words[:1] == ["-m"]:
        module, rest = words[1], words[2:]
        if module in ("validation", "reports"):
            _of_this_project(module, rest)
        elif module == "pytest":
            _paths(rest)
        elif module != "pip":
            _paths([module.replace(".", "/") + ".py"])
    elif words and words[0] != "-c":
        _paths(words[:1])


def _paths(words):
    for word in words:
        path = word.partition("::")[0]
        if re.match(r"[\w.]+/", path) and not (ROOT / path).exists():
            raise WrongCommandError(f"there is no {path}")


def _git(words):
    options = [word for word in words if word.startswith("-")]
    rest = words[2:] if options[:1] == ["-C"] else words
    known = subprocess.run(["git", "--list-cmds=main"], capture_output=True, text=True, check=True).stdout.split()
    if rest and rest[0] not in known:
        raise WrongCommandError(f"git has no command {rest[0]}")


def check(words):
    """Raise `WrongCommandError` if a command cannot be meant as it stands."""
    words = list(words)
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):  # variables set for one command
        words.pop(0)
    if not words:
        return
    head, rest = Path(words[0]).name or words[0], words[1:]
    if re.fullmatch(r"python3?(\.\d+)?", head):
        _python(rest)
    elif head in ("make", "asv", "git"):
        {"make": _make, "asv": _asv, "git": _git}[head](rest)
    elif head == "pytest":
        _paths(rest)
    elif head not in OF_THE_SYSTEM:
        raise WrongCommandError(f"{head} is no command that is known here; add it to tests/docs/commands.py or mend it")


def check_block(text):
    """Check every command of a block."""
    for words in split(text):
        check(words)
