"""What the executed pages printed, by their source and the version of the library."""

from __future__ import annotations

import ast
import functools
import hashlib
import pathlib
from typing import Any

import jaxdiscrete

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DOCS = pathlib.Path(__file__).parents[1]


@functools.cache
def version() -> str:
    """The library's version, and a digest of its code, the experiments apart.

    Docstrings and comments change no output.
    """
    package = pathlib.Path(jaxdiscrete.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith("experiments/"):
            digest.update(f"{name}\n{_code(path.read_text())}".encode())
    return f"{jaxdiscrete.__version__}-{digest.hexdigest()[:12]}"


def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def folder() -> pathlib.Path:
    """Where the outputs of this version are kept."""
    return DOCS / "_build" / "executed" / version()


def find(page: str) -> Any:
    """The executed notebook of a page of docs/, None where this version has none."""
    if not folder().exists():
        return None
    from jupyter_cache import get_cache
    from myst_nb.core.read import read_myst_markdown_notebook

    source = read_myst_markdown_notebook((DOCS / page).read_text())
    cache = get_cache(folder())
    try:
        record = cache.match_cache_notebook(source)
    except KeyError:
        return None
    return cache.get_cache_bundle(record.pk).nb
