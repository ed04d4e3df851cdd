"""What all coupled samples share: how many there are, chunks, and certain classes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.coupled.problems import BITS, CLASSES, COPULAS, KEY, of_bits, of_classes
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    assert_gradient_unbiased,
    assert_unbiased,
    exact_gradient,
    gradient_samples,
    map_in_chunks,
)
from tests.helpers.trees import assert_close, flat_rows


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "copula"),
    daily(
        [("carms", jd.gaussian_copula)],
        list(itertools.product(["arms", "carms"], COPULAS)),
    ),
)
def test_any_number_of_samples_is_unbiased(name, copula):
    transform = getattr(jd, name)
    f, q = (of_bits, BITS) if name == "arms" else (of_classes, CLASSES)

    def both(key):
        return [
            jax.grad(transform(f, num_samples=n, copula=copula), 1)(key, q)
            for n in (2, 3, 5)
        ]

    keys = jax.random.split(KEY, 130_000)
    for gradients in map_in_chunks(both, keys):
        assert_unbiased(flat_rows(gradients), exact_gradient(f, q))


@pytest.mark.thorough
@pytest.mark.parametrize("transform", [jd.arsm, jd.disarm_stick_breaking])
def test_four_classes_are_unbiased(transform):
    expected = exact_gradient(of_classes, CLASSES)
    assert_gradient_unbiased(transform(of_classes), CLASSES, expected=expected)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: jd.carms(f, num_samples=3),
        pytest.param(jd.disarm_stick_breaking, marks=pytest.mark.thorough),
        jd.arsm,
    ],
)
def test_a_variable_of_one_class_is_constant(transform):
    q = jd.OneHotCategorical(jnp.array([[2.0], [-1.0]]))
    value, gradient = jax.jit(jax.value_and_grad(transform(jnp.sum), 1))(KEY, q)
    assert value == 2.0
    assert np.all(np.asarray(gradient.logits) == 0)


@pytest.mark.thorough
def test_masked_classes_cost_stick_breaking_nothing():
    """Wherever the masks stand, and whatever is left after them."""
    logits = np.array([0.3, -0.5, 1.0])
    masked = np.full((3, 5), -np.inf)
    masked[0, :3], masked[1, 2:], masked[2, 1] = logits, logits, 0.0
    q = jd.OneHotCategorical(jnp.asarray(masked, jnp.float32))
    f = lambda z: jnp.sum(z * jnp.arange(15.0).reshape(3, 5) ** 2)  # noqa: E731
    for estimate in (
        jd.disarm_stick_breaking(f, num_samples=2),
        jd.carms(f, num_samples=3),
        jd.arsm(f),
    ):
        samples = gradient_samples(estimate, q, num=1000).reshape(-1, 3, 5)
        assert np.all(np.isfinite(samples))
        assert np.all(samples[:, np.isneginf(masked)] == 0)
        assert np.all(samples.std(axis=0)[np.isin(masked, logits)] > 0)


@pytest.mark.parametrize(
    "transform", daily([jd.disarm], [jd.disarm, jd.disarm_stick_breaking])
)
def test_chunks_of_pairs_give_the_same_gradient(transform):
    f, q = (of_bits, BITS) if transform is jd.disarm else (of_classes, CLASSES)

    def gradient(chunk_size):
        estimate = transform(f, num_samples=8, chunk_size=chunk_size)
        return jax.jit(jax.grad(estimate, 1))(KEY, q)

    whole = gradient(None)
    assert_close(gradient(3), whole)


@pytest.mark.parametrize("num_samples", [1, 0])
@pytest.mark.parametrize("name", ["arms", "carms", "disarm", "disarm_stick_breaking"])
def test_coupled_samples_are_at_least_two(name, num_samples):
    match = rf"num_samples >= 2 in jaxdiscrete\.{name}, got {num_samples}"
    with pytest.raises(ValueError, match=match):
        getattr(jd, name)(jnp.sum, num_samples=num_samples)


@pytest.mark.parametrize("name", ["disarm", "disarm_stick_breaking"])
def test_pairs_are_even(name):
    match = rf"an even num_samples in jaxdiscrete\.{name}, got 3.*ask for 2, 4"
    with pytest.raises(ValueError, match=match):
        getattr(jd, name)(jnp.sum, num_samples=3)
