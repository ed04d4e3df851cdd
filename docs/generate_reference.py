"""Writes docs/reference/, one page per package: ``make estimators``."""

import ast
import importlib
import inspect
import pathlib
import re
from collections.abc import Iterator

from generate_estimators import find, table

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS

FOLDER = pathlib.Path(__file__).parent / "reference"

#: What public functions return without a public name of its own.
RETURNED = {"diagnostics": ["diagnostics.gradient_path.LeafPath"]}

#: Title of the page of each package.
PACKAGES = {
    "core": "Objectives, samplers, baselines",
    "distributions": "Distributions",
    "pathwise": "Through the sample",
    "score_function": "One sample and a control variate",
    "multi_sample": "Several independent samples",
    "coupled": "Coupled samples",
    "enumeration": "States counted",
    "bounds": "Bounds of several samples",
    "solvers": "Solvers",
    "graphs": "Decisions in sequence",
    "interop": "Other people's code",
    "diagnostics": "Measuring and choosing",
    "testing": "Assertions for tests",
    "noise": "Noise",
}
HEAD = """\
---
myst:
  html_meta:
    description: {title}, the public names of jaxdiscrete.{package}
---

# {title}

"""


def members(package: str) -> list[str]:
    """The public names of a package, as they follow ``jaxdiscrete.``."""
    module = getattr(jd, package, None)
    if inspect.ismodule(module) and package in jd.__all__:
        return [f"{package}.{name}" for name in sorted(module.__all__)]
    source = pathlib.Path(jd.__file__).read_text()
    found = []
    for node in ast.parse(source).body:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if module.split(".")[1:2] == [package]:
            found += [alias.name for alias in node.names]
    return sorted(set(found) & set(jd.__all__), key=lambda n: (n.lower(), n))


def page(package: str) -> str:
    """The whole text of one."""
    names = members(package)
    module = importlib.import_module(f"jaxdiscrete.{package}")
    parts = [HEAD.format(title=PACKAGES[package], package=package)]
    estimators = [ESTIMATORS[name] for name in names if name in ESTIMATORS]
    introduction = inspect.getdoc(module)
    parts.append(_eval(f"{introduction}\n"))
    if estimators:
        parts += ["\n## At a glance\n\n", *table(estimators, anchors=True)]
        parts.append("\n## The estimators\n\n")
        parts += [_member(facts.name) for facts in estimators]
    rest = [name for name in names if name not in ESTIMATORS]
    if estimators and rest:
        parts.append("## What they take and return\n\n")
    parts += [_member(name) for name in rest]
    for name in RETURNED.get(package, ()):
        parts.append(_eval(f".. autoclass:: jaxdiscrete.{name}\n   :members:\n"))
    return "".join(parts).rstrip() + "\n"


def pages() -> Iterator[tuple[pathlib.Path, str]]:
    """Path and text of each."""
    for package in PACKAGES:
        yield FOLDER / f"{package}.md", page(package)


def _eval(text: str) -> str:
    return f"```{{eval-rst}}\n{text}```\n\n"


def _member(name: str) -> str:
    thing = find(name)
    if inspect.isclass(thing):
        special = "\n   :special-members: __call__" if name == "Noise" else ""
        return _eval(f".. autoclass:: jaxdiscrete.{name}\n   :members:{special}\n")
    if inspect.isfunction(thing):
        return _eval(f".. autofunction:: jaxdiscrete.{name}\n")
    return _eval(f".. py:data:: jaxdiscrete.{name}\n\n   {_comment(name)}\n")


def _comment(name: str) -> str:
    """What stands above the definition of an alias."""
    for node in ast.parse(pathlib.Path(jd.__file__).read_text()).body:
        if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
            source = inspect.getsource(importlib.import_module(str(node.module)))
            found = re.search(rf"((?:^#: .*\n)+){name}\b", source, re.MULTILINE)
            if found is None:
                raise ValueError(
                    f"Expected a comment #: above {name} in {node.module}."
                )
            return " ".join(line[3:] for line in found[1].splitlines())
    raise ValueError(f"Expected {name} to be imported by jaxdiscrete/__init__.py.")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages():
        path.write_text(text)
