"""What the executed pages printed, by their source and the version of the library."""

from __future__ import annotations

import hashlib
import pathlib

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
