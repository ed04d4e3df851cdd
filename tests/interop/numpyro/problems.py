"""Models and guides with discrete sites, and their bounds by enumeration."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.handlers import replay, seed, substitute, trace


class Problem(NamedTuple):
    """A model, a guide, values of their parameters, and the states of the guide.

    Attributes:
      model: of NumPyro.
      guide: of NumPyro.
      params: by name.
      states: for every discrete site the values that it can take.
    """

    model: object
    guide: object
    params: dict
    states: dict


def log_probabilities(problem, params, state, data=()):
    """Those of the sites of the guide, and those of the model, at one state.

    Args:
      problem: a :class:`Problem`.
      params: by name.
      state: one value for every site in ``problem.states``.
      data: arguments of model and guide.
    """
    values = dict(zip(problem.states, state, strict=True))
    guide = substitute(seed(problem.guide, 0), data={**params, **values})
    of_guide = trace(guide).get_trace(*data)
    model = replay(seed(problem.model, 0), of_guide)
    of_model = trace(substitute(model, data=params)).get_trace(*data)
    return [
        [s["fn"].log_prob(s["value"]) for s in sites.values() if s["type"] == "sample"]
        for sites in (of_guide, of_model)
    ]


def all_states(problem):
    """The values of every site, along a leading axis of joint states."""
    rows = list(itertools.product(*problem.states.values()))
    return [jnp.stack([jnp.asarray(x) for x in c]) for c in zip(*rows, strict=True)]


def exact_loss(problem, params, data=()):
    """The negated bound, summed over all states of the discrete sites of the guide."""

    def one(*state):
        log_q, log_p = (
            sum(map(jnp.sum, side))
            for side in log_probabilities(problem, params, state, data)
        )
        return jnp.exp(log_q) * (log_q - log_p)

    return jax.vmap(one)(*all_states(problem)).sum()


def exact_pair_loss(problem, params):
    """The negated bound of two samples, summed over all pairs of states.

    Every element of a plate, which is to enclose all sites, has a bound of its own.
    """

    def one(*state):
        of_guide, of_model = log_probabilities(problem, params, state)
        return sum(map(jnp.sum, of_guide)), sum(of_model) - sum(of_guide)

    log_q, log_weights = jax.vmap(one)(*all_states(problem))
    pairs = jnp.exp(log_q[:, None] + log_q[None])
    bounds = jnp.logaddexp(log_weights[:, None], log_weights[None]) - jnp.log(2.0)
    return -jnp.sum(pairs * bounds.reshape(*pairs.shape, -1).sum(axis=-1))


def vectors(num_classes, shape):
    """All arrays of a shape with entries below a number of classes."""
    states = itertools.product(range(num_classes), repeat=int(np.prod(shape)))
    return [np.array(s, np.int32).reshape(shape) for s in states]


def switch():
    """One Bernoulli site."""

    def model():
        z = numpyro.sample("z", dist.Bernoulli(0.3))
        level = numpyro.param("level", 0.5)
        numpyro.sample("x", dist.Normal(level + 2.0 * z, 1.0), obs=1.5)

    def guide():
        logit = numpyro.param("logit", 0.0)
        numpyro.sample("z", dist.Bernoulli(logits=logit))

    params = {"logit": jnp.array(0.2), "level": jnp.array(-1.1)}
    return Problem(model, guide, params, {"z": vectors(2, ())})


def mixture():
    """A mixture with a site per datum."""
    x = jnp.array([-1.5, 0.2, 2.0])

    def model():
        locs = numpyro.param("locs", jnp.zeros(3))
        weights = numpyro.param("weights", jnp.zeros(3))
        with numpyro.plate("data", 3):
            z = numpyro.sample("z", dist.Categorical(logits=weights))
            numpyro.sample("x", dist.Normal(locs[z], 1.0), obs=x)

    def guide():
        logits = numpyro.param("logits", jnp.zeros((3, 3)))
        with numpyro.plate("data", 3):
            numpyro.sample("z", dist.Categorical(logits=logits))

    params = {
        "locs": jnp.array([-1.0, 1.2, 0.9]),
        "weights": jnp.array([-1.8, -0.7, -1.0]),
        "logits": jnp.array([[0.3, 1.5, -0.8], [1.9, 0.0, 1.2], [1.5, -1.4, -0.1]]),
    }
    return Problem(model, guide, params, {"z": vectors(3, (3,))})


def chain():
    """A hidden Markov model of three steps, with a guide that follows it."""
    x = [0.3, 1.7, -0.4]

    def model():
        stay = numpyro.param("stay", 0.0)
        z = 0.0
        for t in range(3):
            z = numpyro.sample(f"z{t}", dist.Bernoulli(logits=stay * (2 * z - 1)))
            numpyro.sample(f"x{t}", dist.Normal(1.5 * z, 1.0), obs=x[t])

    def guide():
        own = numpyro.param("own", jnp.zeros(3))
        link = numpyro.param("link", 0.0)
        z = 0.0
        for t in range(3):
            z = numpyro.sample(f"z{t}", dist.Bernoulli(logits=own[t] + link * z))

    params = {
        "stay": jnp.array(1.8),
        "own": jnp.array([0.1, 1.9, -1.7]),
        "link": jnp.array(0.4),
    }
    return Problem(model, guide, params, {f"z{t}": vectors(2, ()) for t in range(3)})


def nested():
    """A global site, one per group, and one per member of a group."""
    x = jnp.array([[0.5, -1.0], [2.0, 0.1]])

    def model():
        level = numpyro.param("level", 0.0)
        g = numpyro.sample("g", dist.Bernoulli(0.4))
        with numpyro.plate("groups", 2, dim=-1):
            h = numpyro.sample("h", dist.Bernoulli(logits=0.5 - 1.0 * g))
            with numpyro.plate("members", 2, dim=-2):
                w = numpyro.sample("w", dist.Bernoulli(logits=level + 1.0 * h))
                numpyro.sample("x", dist.Normal(w + 0.7 * h + 0.4 * g, 0.8), obs=x)

    def guide():
        a = numpyro.param("a", 0.0)
        b = numpyro.param("b", jnp.zeros(2))
        c = numpyro.param("c", jnp.zeros((2, 2)))
        g = numpyro.sample("g", dist.Bernoulli(logits=a))
        with numpyro.plate("groups", 2, dim=-1):
            h = numpyro.sample("h", dist.Bernoulli(logits=b + 0.5 * g))
            with numpyro.plate("members", 2, dim=-2):
                numpyro.sample("w", dist.Bernoulli(logits=c + 0.6 * h))

    params = {
        "level": jnp.array(-1.4),
        "a": jnp.array(0.3),
        "b": jnp.array([-0.6, -0.7]),
        "c": jnp.array([[0.7, 1.9], [1.9, 0.7]]),
    }
    states = {"g": vectors(2, ()), "h": vectors(2, (2,)), "w": vectors(2, (2, 2))}
    return Problem(model, guide, params, states)


def subsampled(size):
    """A site per datum in a plate of four, of which ``size`` are seen at a time."""
    x = jnp.array([-1.5, 0.2, 2.0, 1.0])

    def model():
        locs = numpyro.param("locs", jnp.zeros(2))
        with numpyro.plate("data", 4, subsample_size=size) as rows:
            z = numpyro.sample("z", dist.Bernoulli(0.4))
            numpyro.sample("x", dist.Normal(locs[z], 1.0), obs=x[rows])

    def guide():
        logits = numpyro.param("logits", jnp.zeros(4))
        with numpyro.plate("data", 4, subsample_size=size) as rows:
            numpyro.sample("z", dist.Bernoulli(logits=logits[rows]))

    params = {
        "locs": jnp.array([-0.7, 1.2]),
        "logits": jnp.array([0.5, -0.8, 0.9, 0.6]),
    }
    return Problem(model, guide, params, {"z": vectors(2, (4,))})


def mixed():
    """A reparametrised site on which a discrete one depends, and its exact loss."""

    def model():
        m = numpyro.sample("m", dist.Normal(0.0, 1.0))
        z = numpyro.sample("z", dist.Bernoulli(logits=0.5 - m))
        numpyro.sample("x", dist.Normal(m + 1.5 * z, 0.8), obs=1.2)

    def guide():
        loc = numpyro.param("loc", 0.0)
        a, b = numpyro.param("a", 0.0), numpyro.param("b", 0.0)
        m = numpyro.sample("m", dist.Normal(loc, 0.6))
        numpyro.sample("z", dist.Bernoulli(logits=a + b * m))

    params = {"loc": jnp.array(0.5), "a": jnp.array(1.1), "b": jnp.array(0.7)}
    return Problem(model, guide, params, {"m": [], "z": vectors(2, ())})


def exact_mixed_loss(problem, params):
    """Quadrature over the reparametrised site, a sum over the other."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    def one(node, z):
        m = params["loc"] + 0.6 * node
        log_q, log_p = map(sum, log_probabilities(problem, params, (m, z)))
        is_z = dist.Bernoulli(logits=params["a"] + params["b"] * m).log_prob(z)
        return jnp.exp(is_z) * (log_q - log_p)

    each = jax.vmap(lambda node: one(node, 0) + one(node, 1))(jnp.asarray(nodes))
    return jnp.dot(jnp.asarray(weights / weights.sum()), each)
