"""Longer sequences and more kinds of decisions, against enumeration by replay."""

import itertools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.latents import log_prob
from tests.graphs.problems import exact_gradient_of, gradients
from tests.helpers.samplers import BareSampler
from tests.helpers.statistics import assert_unbiased

pytestmark = pytest.mark.thorough
NUM_STEPS = 6
KINDS = {
    "bits": jnp.array([0.4, -0.3]),
    "classes": jnp.array([0.5, -0.2, 0.1]),
    "items": jnp.array([0.3, 0.0, -0.4, 0.2]),
    "hidden": jnp.array(0.3),
    "w": jnp.array(0.8),
}


def surrogate(z, h):
    return jnp.sum(z**2 * jnp.arange(1.0, z.size + 1.0)) * (2.0 + h)


FOUR = (
    lambda f: jd.rebar(f, temperature=0.7, relaxed_f=surrogate),
    lambda f: jd.relax(f, surrogate, temperature=0.7),
    lambda f: jd.nvil(f, baseline=lambda h: 3.0 + h),
    lambda f: jd.reinforce(f, baseline=4.0),
)


def four_kinds(sample, cost, params):
    """Bits, classes, a subset, and a sampler of which nothing is known."""
    h = params["w"]
    qs = (
        lambda h: jd.Bernoulli(params["bits"] * (1.0 + h)),
        lambda h: jd.OneHotCategorical(params["classes"] * (1.0 + h)),
        lambda h: jd.Subset(params["items"] * (1.0 + h), 2),
        lambda h: BareSampler(params["hidden"] + h),
    )
    for transform, q in zip(FOUR, qs, strict=True):
        z = sample(transform, q(h), h)
        level = jnp.sum(z * jnp.arange(1.0, z.size + 1.0))
        h = jnp.tanh(params["w"] * h + 0.5 * level - 1.0)
        cost(level * (3.0 + h))


def replayed(zs, params):
    """The probability of given decisions, and what they cost."""
    log_p, total, rest = [], [], iter(zs)

    def sample(transform, q, *inputs):
        z = next(rest)
        log_p.append(log_prob(q, z))
        return z

    four_kinds(sample, total.append, params)
    return jnp.exp(sum(log_p)) * sum(total)


def test_four_sites_of_mixed_kinds():
    bits = [jnp.array(b) for b in itertools.product((0.0, 1.0), repeat=2)]
    pairs = [
        jnp.zeros(4).at[jnp.array(p)].set(1.0)
        for p in itertools.combinations(range(4), 2)
    ]
    states = (jnp.stack(bits), jnp.eye(3), jnp.stack(pairs), jnp.array([0.0, 1.0]))
    index = jnp.array(list(itertools.product(*(range(len(s)) for s in states))))
    zs = tuple(s[i] for s, i in zip(states, index.T, strict=True))

    def exact(params):
        return jax.vmap(replayed, (0, None))(zs, params).sum()

    estimate = jd.program(four_kinds)
    values, samples = gradients(lambda p, k: estimate(k, p), KINDS, num=200_000)
    assert_unbiased(values[:, None], [exact(KINDS)])
    assert_unbiased(samples, exact_gradient_of(exact, KINDS))


def classes_in_time(params):
    def policy(h, x):
        return jd.OneHotCategorical(x + h * jnp.array([1.0, 0.0, -1.0])), (h,)

    def step(h, z, x):
        value = jnp.dot(z, jnp.array([3.0, -1.0, -2.0]))
        h = jnp.tanh(params["w"] * h + value)
        return h, value * (2.0 + h) + params["w"] * h

    return policy, step


@pytest.mark.parametrize("num_samples", [1, 2])
def test_six_steps_of_three_classes(num_samples):
    params = {"x": 0.3 * jnp.sin(jnp.arange(18.0)).reshape(6, 3), "w": jnp.array(0.7)}
    index = jnp.array(list(itertools.product(range(3), repeat=NUM_STEPS)))
    start = jnp.array(0.3)

    def exact(params):
        policy, step = classes_in_time(params)

        def one(zs):
            def body(h, row):
                z, x = row
                q, _ = policy(h, x)
                h, cost = step(h, z, x)
                return h, (log_prob(q, z), cost)

            log_p, costs = jax.lax.scan(body, start, (zs, params["x"]))[1]
            return jnp.exp(log_p.sum()) * costs.sum()

        return jax.vmap(one)(jnp.eye(3)[index]).sum()

    def loss(params, key):
        estimate = jd.sequential(
            lambda f: jd.relax(f, surrogate, temperature=0.7),
            *classes_in_time(params),
            num_samples=num_samples,
        )
        return estimate(key, start, params["x"])

    _, samples = gradients(loss, params, num=400_000)
    assert_unbiased(samples, exact_gradient_of(exact, params))
