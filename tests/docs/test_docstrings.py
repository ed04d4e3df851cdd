"""The examples in docstrings run, and print what they say they print."""

import ast
import doctest
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily

CORE = [
    name
    for _, name, _ in pkgutil.walk_packages(jd.__path__, "jaxdiscrete.")
    if "experiments" not in name
]


#: Examples run op by op, which takes longest; some of every package, the smallest.
DAILY = [
    f"jaxdiscrete.{name}"
    for name in (
        "coupled.arsm",
        "diagnostics.gradient_path",
        "distributions.bernoulli",
        "distributions.categorical",
        "enumeration.exact",
        "graphs.given",
        "interop.adapters",
        "multi_sample.monte_carlo",
        "pathwise.relaxations",
        "score_function.nvil",
        "solvers.imle",
    )
]


@pytest.mark.parametrize("module", daily(DAILY, CORE))
def test_docstrings_run(module, monkeypatch):
    # Users do not run with strict promotion, and examples should not have to.
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        result = doctest.testmod(
            importlib.import_module(module),
            extraglobs={"jax": jax, "jnp": jnp, "np": np, "jd": jd},
            optionflags=doctest.NORMALIZE_WHITESPACE,
        )
    assert result.failed == 0


@pytest.mark.parametrize("module", CORE)
def test_docstrings_say_what_a_thing_is(module):
    """They are no fragments, and no shorthand for the docstring above."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        doc = ast.get_docstring(node) if isinstance(node, kinds) else None
        if doc is not None:
            first = doc.splitlines()[0]
            assert first.split()[0] not in {"Of", "What", "Whether", "Which"}, first
            assert "likewise" not in doc.lower(), first
