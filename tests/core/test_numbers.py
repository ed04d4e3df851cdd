"""Numbers that are known and wrong are refused; those that turn out so are NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.5, -1.0]))


def total(z):
    return jnp.sum(z)


NUMBERS = {
    "baseline": lambda x: jd.reinforce(total, baseline=x),
    "baseline fitted": lambda x: jd.nvil(total, baseline=x),
    "scale": lambda x: jd.rebar(total, temperature=0.5, scale=x),
    "value_scale": lambda x: jd.muprop(total, value_scale=x),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), jnp.array(jnp.nan)])
@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_must_be_finite(what, value, no_compute):
    estimate = NUMBERS[what](value)
    with pytest.raises(ValueError, match=f"{what.split()[0]} to be finite, got [ni]"):
        estimate(KEY, Q)


@pytest.mark.parametrize("value", [True, "1", jnp.array(False)])
@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_must_be_numbers(what, value, no_compute):
    match = f"{what.split()[0]} to be a number or an array of numbers, got (bool|str)"
    with pytest.raises(TypeError, match=match):
        NUMBERS[what](value)(KEY, Q)


@pytest.mark.parametrize(
    "at",
    [
        lambda t: jd.gumbel_softmax(total, temperature=t),
        lambda t: jd.reinmax(total, temperature=t),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=1.0, backward_temperature=t
        ),
        lambda t: jd.rebar(total, temperature=t),
        lambda t: jd.relax(total, total, temperature=t),
    ],
)
def test_a_traced_temperature_that_is_none_is_nan(at):
    gradient = jax.jit(lambda t: jax.grad(at(t), 1)(KEY, Q).logits)
    assert np.isnan(gradient(-1.0)).all()
    assert np.isnan(gradient(np.inf)).all()
    assert np.isfinite(gradient(0.5)).all()


@pytest.mark.parametrize("make", [jd.Bernoulli, jd.OneHotCategorical])
def test_logits_must_not_be_nan(make, no_compute):
    q = make(jnp.array([0.0, jnp.nan]))
    with pytest.raises(ValueError, match="logits that are numbers, got NaN"):
        jd.reinforce(total)(KEY, q)


def test_a_logit_among_several_must_be_below_infinity(no_compute):
    for q in (
        jd.OneHotCategorical(jnp.array([0.0, jnp.inf])),
        jd.Subset(jnp.array([0.0, 0.0, jnp.inf]), 2),
    ):
        with pytest.raises(ValueError, match=r"logits below \+inf, got \+inf"):
            jd.reinforce(total)(KEY, q)


def test_a_subset_that_turns_out_impossible_is_nan():
    """Its logits are traced, so that nobody can say so earlier."""
    logits = jnp.array([0.0, -jnp.inf, -jnp.inf])
    gradient = jax.jit(jax.grad(lambda x: jd.reinforce(total)(KEY, jd.Subset(x, 2))))(
        logits
    )
    assert np.isnan(gradient).any()
