"""Gumbel-Rao: mean and variance against straight-through Gumbel-Softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import K_SIGMA, map_in_chunks


def simplex_quadratic(z):
    """The quadratic programme on the simplex of the Gumbel-Rao paper."""
    index = jnp.arange(3.0)
    weights = jnp.exp(-2.0 * jnp.abs(index[:, None] - index[None, :]))
    return (z - 1 / 3) @ weights @ (z - 1 / 3)


CORNERS = jnp.log(
    jnp.array(
        [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]]
    )
)


def batches_of(estimate, seed, num=60_000, num_batches=30):
    """Mean and variance, summed over coordinates, in batches, at each of CORNERS."""
    keys = jax.random.split(jax.random.key(seed), num)
    gradient = jax.vmap(jax.grad(estimate, 1), (None, 0))
    corners = jd.OneHotCategorical(CORNERS)
    samples = map_in_chunks(lambda key: gradient(key, corners).logits, keys)
    samples = np.asarray(samples, np.float64).swapaxes(0, 1)
    samples = samples.reshape(len(CORNERS), num_batches, -1, 3)
    return samples.mean(axis=2), samples.var(axis=2, ddof=1).sum(axis=-1)


def of_batches(rows):
    """The mean over batches, and its standard error."""
    return rows.mean(axis=1), rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])


@pytest.fixture(scope="module")
def rao_batches():
    def of(num_noise, seed):
        estimate = jd.gumbel_rao(
            simplex_quadratic, temperature=0.5, num_noise=num_noise
        )
        return batches_of(estimate, seed)

    coupled = jd.straight_through_gumbel_softmax(simplex_quadratic, temperature=0.5)
    return {0: batches_of(coupled, 0)} | {k: of(k, k) for k in (1, 2, 8)}


@pytest.mark.thorough
@pytest.mark.parametrize("num_noise", [1, 8])
def test_gumbel_rao_has_the_mean_of_straight_through_gumbel_softmax(
    rao_batches, num_noise
):
    expected, se_expected = of_batches(rao_batches[0][0])
    found, se_found = of_batches(rao_batches[num_noise][0])
    se = np.hypot(se_expected, se_found)
    assert np.all(K_SIGMA * se < 0.15 * np.abs(expected).max()), "underpowered"
    assert np.all(np.abs(found - expected) < K_SIGMA * se)


@pytest.mark.thorough
def test_variance_of_gumbel_rao_falls_with_the_noise_given_the_sample(rao_batches):
    """var(K) = a / K + b, with var(1) that of straight-through Gumbel-Softmax."""
    v = {k: of_batches(rows) for k, (_, rows) in rao_batches.items()}
    difference = v[1][0] - v[0][0]
    assert np.all(np.abs(difference) < K_SIGMA * np.hypot(v[1][1], v[0][1]))
    predicted = v[1][0] + (v[2][0] - v[1][0]) * (1 - 1 / 8) / (1 - 1 / 2)
    se = np.sqrt((0.75 * v[1][1]) ** 2 + (1.75 * v[2][1]) ** 2 + v[8][1] ** 2)
    assert np.all(np.abs(v[8][0] - predicted) < K_SIGMA * se)
    # The law with a alone, or b alone, would show.
    assert np.all(v[8][0] - v[1][0] / 8 > 3 * se)
    assert np.all(v[1][0] - v[8][0] > 3 * se)


def test_gumbel_rao_needs_a_relaxed_sample():
    match = r"num_noise >= 1 in jaxdiscrete\.gumbel_rao, got 0\. One relaxed sample"
    with pytest.raises(ValueError, match=match):
        jd.gumbel_rao(jnp.sum, temperature=1.0, num_noise=0)
    with pytest.raises(TypeError, match=r"num_noise of .*gumbel_rao to be a Py"):
        jd.gumbel_rao(jnp.sum, temperature=1.0, num_noise=2.0)
