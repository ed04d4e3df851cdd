"""Distributions of each kind, and the objectives of the battery."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

import jaxdiscrete as jd
from tests.battery.estimators import ALL


@dataclasses.dataclass(frozen=True)
class Kind:
    """Distributions of one kind, for the problems of the battery.

    Attributes:
      of: from logits to a distribution; of logits of shape [3] a sample has that shape.
      mixed: a pytree of several, with a masked class where there are classes, whose
        samples have the shapes of MIXED.
      logits: of ``three``, such that no gradient of the battery's objective is near 0.
    """

    of: Callable
    mixed: dict
    logits: tuple = (0.3, -0.8, 1.0)

    @property
    def three(self):
        """One distribution whose sample has shape [3]."""
        return self.of(jnp.array(self.logits))


ROWS = jnp.array([[0.5, -0.2, 0.0], [0.0, 0.5, -jnp.inf]])
KINDS = {
    "any": Kind(
        jd.Bernoulli,
        {"a": jd.Bernoulli(jnp.array([0.4])), "b": (jd.OneHotCategorical(ROWS),)},
    ),
    "binary": Kind(
        jd.Bernoulli, {"a": jd.Bernoulli(jnp.array([0.4])), "b": (jd.Bernoulli(ROWS),)}
    ),
    "categorical": Kind(
        jd.OneHotCategorical,
        {
            "a": jd.OneHotCategorical(jnp.array([0.4, 0.0, -0.3])),
            "b": (jd.OneHotCategorical(ROWS),),
        },
        logits=(1.0, 0.3, -0.8),
    ),
}


def three_f(z, t=1.0):
    z = z.astype(jnp.float32)
    linear = jnp.dot(z, jnp.array([3.0, -3.0, 4.0]))
    return t * (linear + 1.5 * z[0] * z[1] - z[1] * z[2] ** 3 - 2.5)


def mixed_f(z, t=1.0):
    a, (b,) = z["a"][0], z["b"]
    weights = jnp.array([[-4.0, 4.0, 3.0], [-3.0, 3.0, 0.0]])
    return t * (4.0 * a + jnp.sum(weights * b) + a * b[0, 1] - b[1, 0] ** 2 - 2.5)


#: From a kind to an objective and distributions.
PROBLEMS = {
    "three": lambda kind: (three_f, kind.three),
    "mixed": lambda kind: (mixed_f, kind.mixed),
}


def problem(name, which):
    """An objective and distributions of the kind that the estimator takes."""
    return PROBLEMS[which](KINDS[ALL[name].kind])


def three(name):
    return KINDS[ALL[name].kind].three


def mixed(name):
    return KINDS[ALL[name].kind].mixed


def distribution(name, logits):
    return KINDS[ALL[name].kind].of(logits)
