"""A recurrent policy of few steps, its enumeration, and the estimators of its sites."""

import functools
import itertools
import operator

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.core.latents import log_prob
from tests.helpers.parameters import daily
from tests.helpers.statistics import map_in_chunks
from tests.helpers.trees import flat, flat_rows

NUM_STEPS = 4
#: Of a policy whose state is carried on, with costs that depend on parameters.
PARAMS = {
    "theta": jnp.array([0.3, -0.4, 0.2, 0.5]),
    "w": jnp.array(1.2),
    "c": jnp.array(1.5),
}
START = jnp.array(0.5)
BINARY = [jnp.array(0.0), jnp.array(1.0)]


def chain(params):
    """``policy`` and ``step``; the inputs of the steps are ``params["theta"]``."""

    def policy(h, theta):
        return jd.Bernoulli(theta + h), (h, theta)

    def step(h, z, theta):
        new = jnp.tanh(params["w"] * h + 1.5 * z - 0.5)
        cost = params["c"] * z * (2.0 + h) + new**2 + params["c"] * h
        return new, cost

    return policy, step


def surrogate(z, h, theta):
    return 3.0 * z * (2.0 + h) + jnp.sin(z) + 0.0 * theta


def mean_of_surrogate(q, h, theta):
    p = jax.nn.sigmoid(q.logits)
    return p * surrogate(1.0, h, theta) + (1.0 - p) * surrogate(0.0, h, theta)


def baseline(h, theta):
    return 4.0 + h + 0.0 * theta


#: Every transform that uses f only through its value at the drawn z.
TRANSFORMS = {
    "reinforce": jd.reinforce,
    "baseline": lambda f: jd.reinforce(f, baseline=baseline),
    "nvil": lambda f: jd.nvil(f, baseline=baseline, centre=jnp.array(0.5)),
    "relax": lambda f: jd.relax(f, surrogate, temperature=0.7),
    "relax_independent": lambda f: jd.relax(
        f, surrogate, temperature=0.7, conditional_noise=jd.independent_noise
    ),
    "rebar": lambda f: jd.rebar(f, temperature=0.7, relaxed_f=surrogate),
    "rebar_independent": lambda f: jd.rebar(
        f,
        temperature=0.7,
        relaxed_f=surrogate,
        conditional_noise=jd.independent_noise,
    ),
    "relax_rebar": lambda f: jd.relax_rebar(
        f, lambda z, h, theta: z * h, temperature=0.7, relaxed_f=surrogate
    ),
    "muprop": lambda f: jd.muprop(f, relaxed_f=surrogate),
    "muprop_second_order": lambda f: jd.muprop_second_order(f, relaxed_f=surrogate),
    "control_variate": lambda f: jd.control_variate(f, surrogate, mean_of_surrogate),
    "dice": jd.dice,
    "running_optimal_baseline": lambda f: jd.reinforce_running_optimal_baseline(
        f, weighted_value=jnp.array(1.0), weight=jnp.array(0.25)
    ),
}
#: Those of which every property is tested; the others differ in what they subtract.
MAIN = (
    "reinforce",
    "baseline",
    "nvil",
    "relax",
    "rebar",
    "muprop",
    "control_variate",
)


#: With a critic on relaxed samples; what is fitted by squares is tested by its sites.
EVERY = daily(["relax"], TRANSFORMS)
#: Where the mechanism is tested and not the estimator.
ONE_OF_EACH = daily(["relax"], MAIN)


def curved(z, h):
    """A surrogate that is not linear in z, of one input."""
    return jnp.sin(2.0 * z) * (1.0 + h) + z**2


def trained(weight):
    """Transforms of one input that train two weights, each the way in which it does."""

    def critic(z, h):
        return weight[0] * z * h + weight[1] * z**2

    def level(h):
        return weight[0] + weight[1] * h

    def mean(q, h):
        p = jax.nn.sigmoid(q.logits)
        return p * curved(1.0, h) + (1.0 - p) * curved(0.0, h)

    temperature = 0.5 + weight[1]
    return {
        "reinforce": lambda f: jd.reinforce(f, baseline=level),
        "nvil": lambda f: jd.nvil(f, baseline=level),
        "relax": lambda f: jd.relax(f, critic, temperature=temperature),
        "relax_rebar": lambda f: jd.relax_rebar(
            f, critic, temperature=0.6, scale=weight[0], relaxed_f=curved
        ),
        "rebar": lambda f: jd.rebar(
            f, temperature=temperature, scale=weight[0], relaxed_f=curved
        ),
        "muprop": lambda f: jd.muprop(
            f, value_scale=weight[0], linear_scale=weight[1], relaxed_f=curved
        ),
        "control_variate": lambda f: jd.control_variate(
            f, curved, mean, scale=weight[0], baseline=weight[1]
        ),
    }


#: Of :func:`trained`.
TRAINED = tuple(trained(jnp.ones(2)))


def expected_cost(policy, step, carry, xs, states, *, discount=1.0):
    """The expectation by enumeration of all sequences, differentiable."""
    num_steps = jax.tree.leaves(xs)[0].shape[0]
    rows = itertools.product(range(len(states)), repeat=num_steps)
    stacked = jax.tree.map(lambda *z: jnp.stack(z), *states)

    def of_sequence(row):
        h, log_p, total = carry, 0.0, 0.0
        for t in range(num_steps):
            x = jax.tree.map(operator.itemgetter(t), xs)
            z = jax.tree.map(operator.itemgetter(row[t]), stacked)
            log_p += log_prob(policy(h, x)[0], z)
            h, cost = step(h, z, x)
            total += discount**t * cost
        return jnp.exp(log_p) * total

    return jax.vmap(of_sequence)(jnp.array(list(rows))).sum()


def expected_cost_of_episodes(active, policy, step, carry, xs):
    """The same of bits while a step is ``active``; past that nothing is looked at."""
    if len(xs) == 0:
        return 0.0
    x, rest = xs[0], xs[1:]
    if not bool(active(jax.lax.stop_gradient(carry), x)):
        return expected_cost_of_episodes(active, policy, step, carry, rest)
    q, _ = policy(carry, x)
    total = 0.0
    for z in BINARY:
        new, cost = step(carry, z, x)
        later = expected_cost_of_episodes(active, policy, step, new, rest)
        total += jnp.exp(log_prob(q, z)) * (cost + later)
    return total


def gradients(loss, params, num=100_000, seed=1):
    """Values, and gradients with respect to params for many keys, flat."""
    keys = jax.random.split(jax.random.key(seed), num)
    both = jax.value_and_grad(loss)
    values, samples = map_in_chunks(lambda key: both(params, key), keys)
    return values, flat_rows(samples)


@functools.cache
def _compiled_gradient(fn):
    return jax.jit(jax.grad(fn))


def exact_gradient_of(fn, params):
    return flat(_compiled_gradient(fn)(params))


def loss_of_chain(transform, **options):
    def loss(params, key):
        estimate = jd.sequential(transform, *chain(params), **options)
        return estimate(key, START, params["theta"])

    return loss


@functools.partial(jax.jit, static_argnames="discount")
def exact_chain(params, *, discount=1.0):
    inputs = params["theta"]
    return expected_cost(*chain(params), START, inputs, BINARY, discount=discount)


def stopping(params):
    """An episode that a decision ends, with NaN past the end wherever one can be."""

    def active(carry, theta):
        del theta
        return carry[1] < 0.5

    def policy(carry, theta):
        h, ended = carry
        # Infinite and NaN past the end, in values and in every derivative.
        blown = params["w"] * h / (1.0 - ended) - params["w"] * ended / (1.0 - ended)
        return jd.Bernoulli(theta + blown), (h + jnp.log(1.0 - ended), blown)

    def step(carry, z, theta):
        h, ended = carry
        new = jnp.tanh(h + 1.5 * z - 0.5) + jnp.sqrt(-ended)
        cost = params["c"] * z * (6.0 + h) + 0.1 * params["c"] / (1.0 - ended) + h**2
        return (new, jnp.where((1.0 - z) * h > 0.0, 1.0, 0.0)), cost

    return active, policy, step


EPISODE_START = (jnp.array(0.2), jnp.array(0.0))


def loss_of_stopping(transform, **options):
    def loss(params, key):
        active, policy, step = stopping(params)
        estimate = jd.sequential(transform, policy, step, active=active, **options)
        return estimate(key, EPISODE_START, params["theta"])

    return loss
