"""Tiny models, and their exact bounds by enumeration of all latent states.

The sums over states are written with plain products and share no code with the models.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.layered.settings import LayeredSettings
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.tasks.structured.settings import Settings as Structured
from tests.experiments.helpers import NETWORKS

PIXEL_MEAN = np.array([0.4, 0.7, 0.3, 0.55], np.float32)
IMAGE = jnp.array([1.0, 0.0, 1.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Case:
    """A model small enough to enumerate, at parameters without a small gradient."""

    model: LayeredSettings
    seed: int
    num: int
    """Samples that show a gradient off by 5 %."""


CASES = {
    "one_layer": Case(Generative((2,)), 1819, 65_000),
    "one_layer_analytic": Case(Generative((2,), divergence="analytic"), 44, 65_000),
    "two_layers": Case(Generative((2, 2)), 619, 200_000),
    "two_layers_analytic": Case(
        Generative((2, 2), divergence="analytic"), 619, 160_000
    ),
    "three_layers": Case(Generative((1, 3, 2)), 202, 1_000_000),
    "categorical": Case(Generative((1, 1), num_classes=3), 1949, 550_000),
    "structured": Case(Structured((2, 2)), 1491, 700_000),
}


def network(case):
    network_class, _ = NETWORKS[case.model.task]
    return network_class(case.model, PIXEL_MEAN)


def randomised(tree, seed, scale=1.0):
    """A tree of normal numbers in the shapes of another."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    draws = [
        scale * jax.random.normal(k, s.shape) for k, s in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, draws)


def parameters(case):
    """Weights of order one, so that latents matter and layers depend on each other."""
    shapes = jax.eval_shape(network(case).init, jax.random.key(0))
    return randomised(shapes, case.seed)


def states(settings, layer):
    """All states of a layer, ``[states, latents]``, with classes as last axis."""
    classes, count = settings.num_classes, settings.num_latents[layer]
    rows = np.array(list(itertools.product(range(classes), repeat=count)))
    return jnp.asarray(rows if classes == 2 else np.eye(classes)[rows], jnp.float32)


def linear(network, inputs):
    return inputs @ network["output"]["kernel"] + network["output"]["bias"]


def log_mass(logits, z):
    """The log-probability of one state."""
    if z.ndim == 2:
        return jnp.sum(z * jax.nn.log_softmax(logits.reshape(z.shape)))
    return jnp.sum(
        z * jax.nn.log_sigmoid(logits) + (1 - z) * jax.nn.log_sigmoid(-logits)
    )


def signs(z):
    return 2.0 * z.reshape(-1) - 1.0


def enumerate_chains(settings, params, x):
    """Log q and log p(x, z) of every chain of states; for halves, log p(y | z)."""
    is_structured = settings.task == "structured"
    half = len(PIXEL_MEAN) // 2
    inputs = x - PIXEL_MEAN
    if is_structured:
        inputs = inputs[:half]
    depth = len(settings.num_latents)

    def one(chain):
        log_q, log_p, below = jnp.zeros(()), jnp.zeros(()), inputs
        for layer, z in enumerate(chain):
            log_q += log_mass(linear(params["encoder"][f"layer_{layer}"], below), z)
            if not is_structured:
                down = linear(params["decoder"][f"layer_{layer}"], signs(z))
                log_p += log_mass(down, x if layer == 0 else chain[layer - 1])
            below = signs(z)
        if is_structured:
            log_p += log_mass(linear(params["decoder"], below), x[half:])
        else:
            log_p += log_mass(params["prior"], chain[-1])
        return log_q, log_p

    each = [states(settings, layer) for layer in range(depth)]
    index = jnp.stack(jnp.meshgrid(*[jnp.arange(len(s)) for s in each], indexing="ij"))
    index = index.reshape(depth, -1)
    return jax.vmap(one)([s[i] for s, i in zip(each, index, strict=True)])


def exact_loss(settings, params, x):
    """The negative ELBO, or the expectation of ``- log p(y | z)``."""
    log_q, log_p = enumerate_chains(settings, params, x)
    cost = -log_p if settings.task == "structured" else log_q - log_p
    return jnp.sum(jnp.exp(log_q) * cost)


def exact_likelihood(settings, params, x):
    """The log-likelihood."""
    log_q, log_p = enumerate_chains(settings, params, x)
    log_p = log_p + log_q if settings.task == "structured" else log_p
    return jax.nn.logsumexp(log_p)


def exact_bound(settings, params, x, num_samples):
    """The importance-weighted bound, over all tuples of chains."""
    log_q, log_p = enumerate_chains(settings, params, x)
    weight = log_p if settings.task == "structured" else log_p - log_q
    index = jnp.indices((len(log_q),) * num_samples).reshape(num_samples, -1)
    bound = jax.nn.logsumexp(weight[index], axis=0) - jnp.log(float(num_samples))
    return jnp.sum(jnp.exp(log_q[index].sum(axis=0)) * bound)
