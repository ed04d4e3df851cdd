"""The law of draws without replacement, over all subsets of eight states."""

import itertools

import jax.numpy as jnp
import numpy as np


def set_probabilities(p, rest):
    """Of every subset, as a bit mask: that it is drawn before all others."""
    k = len(p)
    result = np.ones(2**k)
    for mask in range(1, 2**k):
        last = [i for i in range(k) if mask >> i & 1]
        before = [mask & ~(1 << i) for i in last]
        left = [rest + sum(p[j] for j in range(k) if not m >> j & 1) for m in before]
        result[mask] = sum(
            result[m] * p[i] / r for m, i, r in zip(before, last, left, strict=True)
        )
    return result


TARGET = np.array([0.6, 0.51, 0.48])
STATES = np.array(list(itertools.product((0.0, 1.0), repeat=3)))


def distance(z):
    return jnp.sum((z - jnp.asarray(TARGET, z.dtype)) ** 2)


def toy(eta):
    """Probabilities, values of f and scores of the 8 states, and the exact gradient."""
    mean = 1.0 / (1.0 + np.exp(-eta))
    p = np.prod(np.where(STATES == 1, mean, 1.0 - mean), axis=-1)
    values = ((STATES - TARGET) ** 2).sum(axis=-1)
    scores = STATES - mean
    return p, values, scores, (p * values) @ scores
