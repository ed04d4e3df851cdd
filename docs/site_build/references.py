"""References in docstrings: to public names, and to other projects.

Types in signatures name the module that defines them; readers know the public name.
What belongs to another project is a link where its inventory was reachable when the
site was built, and otherwise plain text, listed at the end of the build.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any

from docutils import nodes
from sphinx.util import logging

import jaxdiscrete as jd

INITIAL = re.compile(r"^(\s*[A-Z])\. ")
logger = logging.getLogger(__name__)

INVENTORIES = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "jax": "https://docs.jax.dev/en/latest/",
    "optax": "https://optax.readthedocs.io/en/latest/",
}
#: What may be named without an inventory: of other projects, or a type of ours.
ELSEWHERE = (
    "collections",
    "jax",
    "np",
    "numpy",
    "optax",
    "typing",
    "Any",
    "Array",
    "ArrayLike",
    "Callable",
    "None",
    "PyTree",
    "Sequence",
    "bool",
    "dict",
    "float",
    "int",
    "list",
    "object",
    "optional",
    "str",
    "tuple",
)
PUBLIC = {
    f"{thing.__module__}.{thing.__qualname__}": name
    for name, thing in vars(jd).items()
    if name in jd.__all__ and hasattr(thing, "__qualname__")
}


def reachable(inventories: dict[str, str] = INVENTORIES) -> dict[str, tuple[str, None]]:
    """Those that answer within three seconds, as intersphinx wants them."""
    found = {}
    for name, address in inventories.items():
        try:
            request = urllib.request.Request(address + "objects.inv", method="HEAD")
            urllib.request.urlopen(request, timeout=3).close()
        except (OSError, urllib.error.URLError):
            continue
        found[name] = (address, None)
    return found


def resolve(app: Any, env: Any, node: Any, content: nodes.Element) -> Any:
    """A link to the public name, or text for another project's."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    name = PUBLIC.get(target, target.rpartition(".")[2])
    if target.split(".")[0] in {"jaxdiscrete", *jd.__all__} or name in jd.__all__:
        domain = env.get_domain("py")
        for full in (f"jaxdiscrete.{name}", target, f"jaxdiscrete.{target}"):
            entry = domain.objects.get(full)
            if entry is not None:
                return domain.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", full, node, content
                )
    if target.split(".")[0] in ELSEWHERE:
        app.ignored_references.add(target)
        return content
    return None


def report(app: Any, exception: Exception | None) -> None:
    if exception is None and app.ignored_references:
        names = ", ".join(sorted(app.ignored_references))
        logger.info("references to other projects left as text: %s", names)


def escape_initials(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Keeps a reference that begins with an initial from being item E of a list."""
    lines[:] = [INITIAL.sub(r"\1\\. ", line) for line in lines]


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", escape_initials)
    app.ignored_references = set()
    # After intersphinx, which has the first say.
    app.connect("missing-reference", resolve, priority=900)
    app.connect("build-finished", report)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
