"""What all public names have in common, and that the documentation runs."""

import doctest
import importlib
import inspect
import pkgutil
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from documents import ROOT, run_document

import jaxdiscrete as jd

PUBLIC = sorted(set(jd.__all__) - {"Estimator"})
TRANSFORMS = [
    name
    for name in PUBLIC
    if inspect.isfunction(getattr(jd, name))
    and next(iter(inspect.signature(getattr(jd, name)).parameters)) == "f"
    and name != "recommend"  # which returns one
]
CORE = [
    name
    for _, name, _ in pkgutil.walk_packages(jd.__path__, "jaxdiscrete.")
    if "experiments" not in name
]


def examples(text):
    return doctest.DocTestParser().get_examples(text)


def test_every_public_name_is_listed_and_exists():
    assert list(jd.__all__) == sorted(jd.__all__)
    assert all(hasattr(jd, name) for name in jd.__all__)
    extra = {n for n in vars(jd) if not n.startswith("_")} - set(jd.__all__)
    modules = {n for n in extra if inspect.ismodule(getattr(jd, n))}
    assert extra == modules


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_share_one_signature(name):
    parameters = inspect.signature(getattr(jd, name)).parameters
    positional = [
        p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert positional[0] == "f"
    known = {"baseline", "critic", "control", "b", "mean", "solver"}
    assert set(positional[1:]) <= known
    if name != "exact":
        assert parameters["has_aux"].default is False


@pytest.mark.parametrize("name", TRANSFORMS)
def test_docstrings_say_what_a_user_must_know(name):
    doc = inspect.getdoc(getattr(jd, name))
    assert re.search(r"\bUnbiased\b|\bunbiased\b|\bBiased\b|\bExact\b", doc)
    assert re.search(r"(calls?|One call) of\s+``f``", doc)
    for section in ("Args:", "Returns:", "Raises:", "Example:"):
        assert section in doc


@pytest.mark.parametrize(
    "name", [n for n in PUBLIC if inspect.isfunction(getattr(jd, n))]
)
def test_docstrings_name_every_argument_and_have_an_example(name):
    fn = getattr(jd, name)
    doc = inspect.getdoc(fn)
    for parameter in inspect.signature(fn).parameters:
        assert re.search(rf"^\s+{parameter}: ", doc, re.MULTILINE)
    assert any(e.want for e in examples(doc))


@pytest.mark.parametrize("module", CORE)
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


def test_the_readme_runs():
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("the README is not part of an installed package")
    assert run_document(readme) >= 3


def test_the_core_needs_jax_numpy_and_optax_alone():
    allowed = {"jax", "numpy", "optax", "jaxdiscrete", "__future__", "typing"}
    allowed |= {"collections", "contextlib", "dataclasses", "math"}
    allowed |= {"functools", "inspect", "itertools"}
    allowed |= {"re", "time"}
    for module in ["jaxdiscrete", *CORE]:
        source = inspect.getsource(importlib.import_module(module))
        imported = re.findall(r"^(?:from|import) ([\w.]+)", source, re.MULTILINE)
        assert {name.split(".")[0] for name in imported} <= allowed
        assert not re.search(r"jax\._src|jax\.core\b|jax\.interpreters", source)


def test_custom_rules_live_in_one_module():
    for module in ["jaxdiscrete", *CORE]:
        source = inspect.getsource(importlib.import_module(module))
        if module != "jaxdiscrete.core.rules":
            assert not re.search(r"@jax\.custom_|defvjp|defjvp", source)


def test_protocols_recognise_what_they_should():
    q = jd.Bernoulli(jnp.zeros(2))
    assert isinstance(q, jd.Sampler)
    assert isinstance(q, jd.Relaxable)
    assert isinstance(jd.OneHotCategorical(jnp.zeros(2)), jd.Relaxable)
    assert not isinstance(jnp.zeros(2), jd.Sampler)


def test_a_distribution_of_ones_own_gets_every_estimator():
    """Spins in {-1, 1}: the operations of the protocol are all that is needed."""
    import dataclasses

    from checks import assert_unbiased, exact_gradient, gradient_samples

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Spin:
        field: jax.Array

        @property
        def bits(self):
            return jd.Bernoulli(2.0 * self.field)

        @property
        def batch_shape(self):
            return jnp.shape(self.field)

        @property
        def num_states(self):
            return self.bits.num_states

        def sample(self, key):
            return 2.0 * self.bits.sample(key) - 1.0

        def log_prob(self, z):
            return self.bits.log_prob((z + 1.0) / 2.0)

        def mean(self):
            return jnp.tanh(self.field)

        def location(self):
            return self.bits.location()

        def relaxed_sample(self, key):
            return self.bits.relaxed_sample(key)

        def threshold(self, zeta):
            return jnp.sign(zeta)

        def conditional_relaxed_sample(self, key, z):
            return self.bits.conditional_relaxed_sample(key, (z + 1.0) / 2.0)

        def coupled_conditional(self, zeta, z):
            return self.bits.coupled_conditional(zeta, (z + 1.0) / 2.0)

        def relax(self, zeta, temperature):
            return 2.0 * self.bits.relax(zeta, temperature) - 1.0

        def enumerate_support(self):
            return 2.0 * self.bits.enumerate_support() - 1.0

    q = Spin(jnp.array([0.3, -0.5]))
    f = lambda z: jnp.dot(z, jnp.array([3.0, -2.0])) + z[0] * z[1] ** 3  # noqa: E731
    for estimate in (
        jd.reinforce_loo(f, num_samples=2),
        jd.muprop(f),
        jd.rebar(f, temperature=0.5, scale=jnp.array(0.8)),
        jd.rebar_independent(f, temperature=0.5, scale=0.8),
        jd.relax(f, lambda z: jnp.sum(z**3), temperature=0.5),
    ):
        assert_unbiased(gradient_samples(estimate, q), exact_gradient(f, q))
