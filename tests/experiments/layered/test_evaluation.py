"""Bounds with hard samples against enumeration of all latent states."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.layered import evaluation
from tests.experiments.oracles import (
    CASES,
    IMAGE,
    enumerate_chains,
    exact_bound,
    exact_likelihood,
    exact_loss,
    network,
    parameters,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased

IMAGES = jnp.stack([IMAGE, 1.0 - IMAGE, jnp.zeros(4)])
KEY = jax.random.key(3)


def exact(case, images, function, *args):
    params = parameters(case)
    each = jax.jit(jax.vmap(lambda x: function(case.model, params, x, *args)))
    return np.asarray(each(images), np.float64)


def evaluate(case, images, num_samples, key=KEY):
    model, params = network(case).hardened(), parameters(case)
    run = jax.jit(lambda: evaluation.evaluate(model, params, key, images, num_samples))
    return jax.tree.map(np.asarray, run())


def repeated(case, num, num_samples):
    """Both bounds of every image for many keys, ``[num, images]``."""
    rows = evaluate(case, jnp.repeat(IMAGES, num, axis=0), num_samples)
    return jax.tree.map(lambda v: v.reshape(len(IMAGES), num).T, rows)


@pytest.mark.parametrize(
    ("which", "num_samples"),
    daily(
        [("one_layer", 1), ("two_layers", 2), ("structured", 2)],
        list(
            itertools.product(
                ["one_layer", "two_layers", "categorical", "structured"], [1, 2]
            )
        ),
    ),
)
def test_bounds_have_their_exact_expectation(which, num_samples):
    """Also for models trained with other divergences, whose bounds are the same."""
    case = CASES[which]
    got = repeated(case, 8000, num_samples)
    assert_unbiased(got.elbo, -exact(case, IMAGES, exact_loss))
    assert_unbiased(got.bound, exact(case, IMAGES, exact_bound, num_samples))


@pytest.mark.parametrize("which", ["one_layer_analytic", "two_layers_analytic"])
def test_the_divergence_of_training_does_not_matter(which):
    case = CASES[which]
    got = repeated(case, 8000, 1)
    assert_unbiased(got.elbo, -exact(case, IMAGES, exact_loss))


@pytest.mark.thorough
def test_more_samples_tighten_the_bound_up_to_the_likelihood(monkeypatch):
    case = CASES["one_layer"]
    likelihood = exact(case, IMAGES, exact_likelihood)
    num = 20_000
    got = [repeated(case, num, k).bound for k in (1, 2, 4)]
    means = np.array([g.mean(axis=0) for g in got] + [likelihood])
    errors = np.array([g.std(axis=0) for g in got]) / np.sqrt(num)
    assert np.all(np.diff(means, axis=0) > 4.5 * np.sqrt(2.0) * errors)
    # The error of a log of a mean is the relative error of the mean.
    num = 100_000
    monkeypatch.setattr(evaluation, "CHUNK", num)
    log_q, log_p = jax.vmap(
        lambda x: enumerate_chains(case.model, parameters(case), x)
    )(IMAGES)
    second = np.asarray(jax.nn.logsumexp(2 * log_p - log_q, axis=1), np.float64)
    error = 4.5 * np.sqrt(np.expm1(second - 2 * likelihood) / num)
    assert np.all(error < 0.05)
    assert np.all(np.abs(evaluate(case, IMAGES, num).bound - likelihood) < error)


@pytest.mark.parametrize("num_samples", daily([3], [3, 7, 12]))
def test_chunks_keep_the_expectation(monkeypatch, num_samples):
    """Also when the samples of one image are several chunks of unequal size."""
    monkeypatch.setattr(evaluation, "CHUNK", 5)
    case = CASES["one_layer"]
    images = jnp.repeat(IMAGES, 4000, axis=0)
    got = evaluate(case, images, num_samples)
    assert got.elbo.shape == got.bound.shape == (len(images),)
    elbo, bound = (v.reshape(3, 4000).T for v in got)
    assert_unbiased(elbo, -exact(case, IMAGES, exact_loss))
    if num_samples == 3:
        assert_unbiased(bound, exact(case, IMAGES, exact_bound, 3))
    # The mean of independent samples: chunks that repeated keys would vary more.
    single = evaluate(case, images, 1).elbo.reshape(3, 4000).T
    ratio = elbo.var(axis=0) * num_samples / single.var(axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=4.5 * np.sqrt(6 / 4000) + 0.05)


def test_memory_is_bounded_by_the_chunk(monkeypatch):
    """No array of the program has more samples than a chunk has."""
    monkeypatch.setattr(evaluation, "CHUNK", 64)
    case = CASES["one_layer"]
    model, params = network(case).hardened(), parameters(case)

    def largest(num_images, num_samples):
        images = jnp.zeros((num_images, 4))
        jaxpr = jax.make_jaxpr(
            lambda: evaluation.evaluate(model, params, KEY, images, num_samples)
        )()
        return max(jax.tree.leaves(list(_sizes(jaxpr.jaxpr, num_samples))), default=0)

    assert largest(512, 16) <= 64
    assert largest(512, 640) <= 640


def _sizes(jaxpr, num_samples):
    """Leading sizes of samples in a program and in its loops."""
    for eqn in jaxpr.eqns:
        for sub in jax.tree.leaves(
            [getattr(p, "jaxpr", None) for p in eqn.params.values()],
            is_leaf=lambda p: hasattr(p, "eqns"),
        ):
            if hasattr(sub, "eqns"):
                yield from _sizes(sub, num_samples)
        for var in eqn.outvars:
            shape = getattr(var.aval, "shape", ())
            if num_samples in shape:
                axis = shape.index(num_samples)
                yield int(np.prod(shape[: axis + 1]))


def test_images_do_not_share_samples_or_see_each_other():
    model, params = (
        network(CASES["one_layer"]).hardened(),
        parameters(CASES["one_layer"]),
    )
    run = jax.jit(lambda x: evaluation.evaluate(model, params, KEY, x, 50).elbo)
    first = [run(jnp.stack([IMAGE, other]))[0] for other in IMAGES[1:]]
    assert first[0] == first[1]
    twins = run(jnp.stack([IMAGE, IMAGE]))
    assert twins[0] != twins[1]
