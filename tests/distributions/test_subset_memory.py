"""Memory of subsets beside that of one-hot variables."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.memory import temporary_bytes

TOKENS, ITEMS, K = 512, 64, 8


def of_gradient(transform, make):
    """What the gradient of an estimator needs beside its arguments and results."""

    def loss(logits, key):
        estimate = transform(lambda z: jnp.square(z.sum(axis=-1)).mean())
        return estimate(key, make(logits))

    logits = jnp.zeros((TOKENS, ITEMS))
    return temporary_bytes(jax.value_and_grad(loss), logits, jax.random.key(0))


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: jd.reinforce_loo(f, num_samples=4),
        lambda f: jd.monte_carlo(jd.gumbel_softmax(f, temperature=0.5), num_repeats=4),
    ],
    ids=["reinforce_loo", "gumbel_softmax"],
)
def test_a_subset_needs_no_more_than_ten_gates(transform):
    gate = of_gradient(transform, jd.OneHotCategorical)
    subset = of_gradient(transform, lambda logits: jd.Subset(logits, K))
    assert subset < 10 * gate, (subset, gate)
