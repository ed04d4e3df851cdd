"""Bad input: an error of every estimator before any compute."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, BARE, once_per_package
from tests.battery.problems import KINDS
from tests.helpers.samplers import BareSampler

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))
everything = pytest.mark.parametrize("name", ALL)


def total(z):
    return jnp.sum(z)


def small(name):
    """Two variables or two classes, as the estimator takes them."""
    return KINDS[ALL[name].kind].of(Q.logits)


def build(name, f=total):
    return ALL[name].make(f, initial_cv(), False)


@everything
@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (lambda z: z, ValueError, r"f to return one real scalar, got shape \(2,\)"),
        (lambda z: (z[0], z[1]), TypeError, "pass has_aux=True for"),
        (lambda z: {"loss": z[0]}, TypeError, "one real scalar, got {'loss'"),
        (lambda z: jnp.int32(3), TypeError, r"floating dtype, got int32.*astype"),
        (lambda z: jnp.complex64(1j), TypeError, "floating dtype, got complex64"),
    ],
)
def test_objective_must_return_one_real_scalar(name, f, error, match, no_compute):
    with pytest.raises(error, match=match):
        build(name, f)(KEY, small(name))


@everything
def test_logits_must_be_floating(name, no_compute):
    match = r"Bernoulli logits of a floating dtype, got int32.*astype\(jnp.float32\)"
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, jd.Bernoulli(jnp.array([0, 1])))
    with pytest.raises(TypeError, match="OneHotCategorical logits of a floating"):
        build(name)(KEY, jd.OneHotCategorical(jnp.array([0, 1])))


@everything
def test_empty_logits(name, no_compute):
    with pytest.raises(ValueError, match=r"at least one entry, got shape \(0,\)"):
        build(name)(KEY, jd.Bernoulli(jnp.zeros(0)))
    with pytest.raises(ValueError, match=r"at least one entry, got shape \(2, 0\)"):
        build(name)(KEY, jd.OneHotCategorical(jnp.zeros((2, 0))))
    with pytest.raises(ValueError, match=r"shape \[..., K\], got a scalar"):
        build(name)(KEY, jd.OneHotCategorical(jnp.float32(0.0)))


@pytest.mark.parametrize(
    "name", once_per_package([n for n, e in ALL.items() if e.kind != "binary"])
)
def test_a_row_of_only_minus_infinity(name):
    q = jd.OneHotCategorical(jnp.array([[0.0, 1.0], [-jnp.inf, -jnp.inf]]))
    with pytest.raises(ValueError, match="a row of only -inf"):
        build(name)(KEY, q)
    value = jax.jit(lambda q: build(name)(KEY, q))(q)
    assert bool(jnp.isnan(value)), "never a silent class 0"


@everything
def test_q_must_hold_distributions(name, no_compute):
    with pytest.raises(TypeError, match=r"got ArrayImpl. Wrap logits as"):
        build(name)(KEY, jnp.zeros(3))
    with pytest.raises(TypeError, match="at least one distribution, got an empty"):
        build(name)(KEY, {})


@pytest.mark.parametrize("name", [n for n in ALL if n not in BARE])
def test_what_needs_more_refuses_a_bare_sampler(name, no_compute):
    match = (
        rf"in jaxdiscrete\.{re.escape(ALL[name].transform)}, got BareSampler, which "
        r"has (no relaxation|no classes|only sample and log_prob).*reinforce_loo"
    )
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, BareSampler(jnp.zeros(2)))


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.differentiates])
@pytest.mark.parametrize(
    "f",
    [
        lambda z: jnp.sum(jnp.round(z)),
        lambda z: jnp.sum(jnp.where(z > 0.5, 1.0, 0.0)),
        lambda z: jnp.sum(z.astype(jnp.int32)).astype(jnp.float32),
        lambda z: jax.lax.stop_gradient(jnp.sum(z)),
        jax.jit(lambda z: jnp.argmax(z).astype(jnp.float32)),
    ],
    ids=["round", "compare", "integer", "stop_gradient", "argmax"],
)
def test_no_silent_zero_gradient(name, f, no_compute):
    match = "derivative is zero by construction.*use jaxdiscrete.reinforce_loo"
    with pytest.raises(TypeError, match=match):
        build(name, f)(KEY, small(name))


@pytest.mark.parametrize(
    "name", once_per_package([n for n, e in ALL.items() if e.differentiates])
)
def test_an_unused_latent_is_fine_and_one_of_two_is_found(name):
    q = {"a": small(name), "b": small(name)}
    gradient = jax.jit(jax.grad(build(name, lambda z: jnp.sum(z["a"])), 1))(KEY, q)
    assert bool(jnp.all(gradient["b"].logits * 0 == 0))
    mixed = lambda z: jnp.sum(z["a"]) + jnp.sum(jnp.round(z["b"]))  # noqa: E731
    with pytest.raises(TypeError, match="derivative is zero by construction"):
        build(name, mixed)(KEY, q)


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.kind == "binary"])
def test_an_estimator_of_binary_variables_refuses_three_classes(name, no_compute):
    other = jd.OneHotCategorical(jnp.zeros(3))
    match = "Expected binary variables in .* got OneHotCategorical, which has 3 classes"
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, {"a": small(name), "b": other})
