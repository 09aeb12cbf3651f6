"""Publish asv's site. Where the checkout has no branch that asv.conf.json names, the branch shown is HEAD.

Exit codes: 0 published, 1 asv could not publish.
"""

import os
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent


def present(branches):
    """Those of the branches that this repository has."""
    found = (
        subprocess.run(["git", "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}"], capture_output=True)
        for branch in branches
    )
    return [branch for branch, done in zip(branches, found, strict=True) if done.returncode == 0]


def main():
    """Publish into the folder that asv.conf.json names."""
    from asv.commands.publish import Publish
    from asv.config import Config
    from asv.console import log
    from asv.util import UserError

    os.chdir(ROOT)
    log.enable()
    try:
        config = Config.load("asv.conf.json")
        named, config.branches = config.branches, present(config.branches) or ["HEAD"]
        if missing := [branch for branch in named if branch not in config.branches]:
            click.echo(
                f"note: this checkout has no branch {' or '.join(missing)}; the site shows {config.branches[0]}. "
                f"To have it: git fetch origin {missing[0]}:{missing[0]}"
            )
        Publish.run(config)
    except (UserError, OSError) as error:
        click.echo(f"error: asv could not publish: {' '.join(str(error).split())}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
