"""The skeleton of a new estimator is one."""

import doctest
import importlib.util
import inspect

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core import facts
from tests.helpers.documents import ROOT

SKELETON = ROOT / "docs" / "developer" / "skeleton.py"
pytestmark = pytest.mark.skipif(
    not SKELETON.exists(), reason="documents are not part of an installed package"
)


@pytest.fixture
def skeleton(monkeypatch):
    """The module, which leaves the table of the package as it is."""
    monkeypatch.setattr(facts, "_table", {})
    name = "jaxdiscrete.multi_sample.reinforce_median"
    spec = importlib.util.spec_from_file_location(name, SKELETON)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert facts._table["reinforce_median"].family == "multi_sample"
    return module


@pytest.mark.thorough
def test_the_skeleton_is_unbiased(skeleton):
    jd.testing.assert_unbiased(
        skeleton.reinforce_median(lambda z: jnp.sum((z - 0.45) ** 2), num_samples=3),
        jd.exact(lambda z: jnp.sum((z - 0.45) ** 2)),
        jax.random.key(0),
        jd.Bernoulli(jnp.array([0.3, -0.5])),
        num_gradients=50_000,
    )


@pytest.mark.thorough
def test_the_skeleton_runs_in_chunks(skeleton):
    f = lambda z: (z.sum() - 1.2) ** 2  # noqa: E731
    key, q = jax.random.key(0), jd.Bernoulli(jnp.zeros(4))
    at_once = skeleton.reinforce_median(f, num_samples=6)
    in_chunks = skeleton.reinforce_median(f, num_samples=6, chunk_size=2)
    assert jnp.allclose(at_once(key, q), in_chunks(key, q))


def test_the_docstring_of_the_skeleton_is_complete(skeleton):
    doc = inspect.getdoc(skeleton.reinforce_median)
    for section in ("Args:", "Returns:", "Raises:", "Example:", "References:"):
        assert section in doc
    globs = {"jax": jax, "jnp": jnp, "jd": jd}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result = doctest.testmod(
            skeleton, extraglobs=globs, optionflags=doctest.NORMALIZE_WHITESPACE
        )
    assert result.attempted == 3
    assert result.failed == 0
