"""Gradient steps lowered for accelerators, which need not be at hand for that."""

import jax
import jax.export
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import MAIN, build
from tests.battery.problems import mixed, mixed_f
from tests.helpers.parameters import daily

PLATFORMS = ("cuda", "tpu")
KEY = jax.random.key(0)
CHAIN = jnp.array([[0.5, -0.5], [1.0, 0.0], [0.2, 0.3]])


def exported(loss, *args):
    step = jax.jit(jax.grad(loss, argnums=tuple(range(len(args) - 1))))
    return jax.export.export(step, platforms=PLATFORMS)(*args)


@pytest.mark.parametrize("name", daily(["rebar", "carms"], MAIN))
def test_every_estimator_is_lowered_for_accelerators(name):
    def loss(q, cv, key):
        return build(name, mixed_f, cv)(key, q)

    step = exported(loss, mixed(name), initial_cv(), KEY)
    assert step.platforms == PLATFORMS
    assert len(step.out_avals) == len(jax.tree.leaves((mixed(name), initial_cv())))


def best_of_scores(scores):
    return (scores == scores.max()).astype(scores.dtype)


def sequential(logits, key):
    def policy(z, row):
        return jd.Bernoulli(row + z), (z,)

    def step(z, action, row):
        return action, jnp.sum(action * row)

    estimate = jd.sequential(lambda f: jd.reinforce(f), policy, step)
    return estimate(key, jnp.zeros(2), logits)


def program(logits, key):
    def model(sample, cost, logits):
        z = sample(jd.reinforce, jd.Bernoulli(logits[0]))
        cost(jnp.sum(z))
        cost(jnp.sum(sample(jd.nvil, jd.Bernoulli(logits[1] + z))))

    return jd.program(model)(key, logits)


OTHERS = {
    "exact": lambda x, key: jd.exact(jnp.sum)(key, jd.OneHotCategorical(x)),
    "imle": lambda x, key: jd.imle(jnp.sum, best_of_scores, step_size=1.0)(key, x),
    "perturbed_optimizer": lambda x, key: jd.perturbed_optimizer(
        jnp.sum, best_of_scores, num_noise=3
    )(key, x),
    "subset": lambda x, key: jd.reinforce(jnp.sum)(key, jd.Subset(x.T, 2)),
    "relaxed_subset": lambda x, key: jd.gumbel_softmax(jnp.sum, temperature=0.5)(
        key, jd.Subset(x.T, 2)
    ),
    "sequential": sequential,
    "program": program,
}


@pytest.mark.parametrize("name", daily(["sequential"], OTHERS))
def test_what_draws_or_solves_is_lowered_for_accelerators(name):
    assert exported(OTHERS[name], CHAIN, KEY).platforms == PLATFORMS
