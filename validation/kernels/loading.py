"""Imports the function of an implementation."""

from __future__ import annotations

import importlib
from typing import Any

from validation.contract.cards import Implementation
from validation.contract.kernel import Function, NotAvailableError


def load(implementation: Implementation) -> Function:
    """Import the function of an implementation. Only a child process does this.

    Raises
    ------
    NotAvailableError
        If the module or the function is not there.
    """
    module_name, _, attributes = implementation.target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise NotAvailableError(f"{implementation.target} cannot be imported: {error}") from error
    if not callable(found):
        raise NotAvailableError(f"{implementation.target} must be a function, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]
