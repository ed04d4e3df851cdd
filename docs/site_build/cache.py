"""What the executed pages printed, by their source and the version of the library."""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any

import jaxdiscrete

DOCS = pathlib.Path(__file__).parents[1]


def version() -> str:
    """The library's version, and a digest of its sources, the experiments apart."""
    package = pathlib.Path(jaxdiscrete.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith("experiments/"):
            digest.update(name.encode() + path.read_bytes())
    return f"{jaxdiscrete.__version__}-{digest.hexdigest()[:12]}"


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
