"""Names in docstrings: what is on the site is linked, what exists elsewhere is left as it is, the rest is a mistake."""

import contextlib
import pkgutil

from sphinx.ext.autodoc import mock


def resolve(app, env, node, contnode):
    """Link a thing that a docstring names without its module, where one thing has that name."""
    if node.get("refdomain") != "py":
        return None
    python = env.get_domain("py")
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    found = [whole for whole in python.objects if whole.rpartition(".")[2] == name]
    if len(found) == 1:
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)
    with mock(app.config.autodoc_mock_imports):
        return contnode if exists(target, node.get("py:module"), node.get("py:class")) else None


def exists(target, module, owner):
    """Say whether a module, or the class whose docstring names it, has such a thing."""
    for whole in (target, f"{module}.{target}", f"{module}.{owner}.{target}"):
        with contextlib.suppress(ImportError, AttributeError, ValueError):
            pkgutil.resolve_name(whole)
            return True
    return False


def readable(app, what, name, thing, options, arguments, returned):
    """Write a signature of msgspec so that it can be read as Python."""
    return arguments and arguments.replace("<factory>", "..."), returned


def setup(app):
    """Connect the above."""
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-signature", readable)
    return {"parallel_read_safe": True}
