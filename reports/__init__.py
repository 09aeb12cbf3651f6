"""Reads a run folder, judges it by METHOD's rules, and draws it. Of what measures it knows the contract alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def frame(folder: str | Path, machine: str | None = None) -> pd.DataFrame:
    """Read the results of a run as a table: one row for each case and candidate, with every figure.

    Parameters
    ----------
    folder : str or Path
        Folder of a run, of any schema that is read.
    machine : str, optional
        Fingerprint of the one machine whose lines count, where a run on a cluster has several.

    Returns
    -------
    pandas.DataFrame
        In the order of the case ids. Each parameter of the kernels is a column (``param_NAME`` where a figure has that
        name). Times are in seconds, sizes in bytes, errors in units of the scale of a case; what was not measured is
        missing. ``speedup`` and ``cold_speedup`` are ratios of medians, reference over candidate, of warm and of first
        calls; their ``_lower`` and ``_upper`` are the bounds that the gate judges.

    Raises
    ------
    reports.errors.InputError
        If the folder is none of a run, or its lines cannot be judged together.

    Examples
    --------
    The cases that are at least ten times as fast, for sure:

    >>> import reports
    >>> found = reports.frame("runs/quick")
    >>> found.loc[found.speedup_lower >= 10, ["case_id", "candidate", "speedup_lower"]].shape
    (1, 3)
    """
    from reports.telling import frame as table

    return table.frame(folder, machine)
