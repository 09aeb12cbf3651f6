"""Write docs/cli.md from the command lines themselves: ``python -m tests.docs.cli_reference``."""

import click

from reports.cli import cli as reports
from tests.docs.pages import ROOT
from validation.cli import cli as validation

PAGE = ROOT / "docs" / "cli.md"
HEAD = """# Commands and options

Made from the command lines by `python -m tests.docs.cli_reference`; a test holds this page to them. What a command
ends with is in [exit-codes.md](exit-codes.md). `--debug` stands before the command.
"""


def _sections(command, name, parent=None):
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, **command.context_settings)
    yield f"{'##' if parent is None else '###'} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from _sections(command.commands[inner], inner, context)


def text():
    parts = [*_sections(validation, "python -m validation"), *_sections(reports, "python -m reports")]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
