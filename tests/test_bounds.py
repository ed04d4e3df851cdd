"""Multi-sample bounds: variance, memory, and where their samples lie."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxdiscrete as jd
from tests.helpers.memory import temporary_bytes
from tests.helpers.parameters import daily
from tests.helpers.statistics import gradient_samples
from tests.helpers.trees import assert_close

Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
KEY = jax.random.key(0)


def log_weight(z):
    return jnp.dot(z, jnp.array([1.0, -2.0, 0.5])) + z[0] * z[1] - 3.0


def variance(estimate, num=50_000):
    return gradient_samples(estimate, Q, num=num).var(axis=0).sum()


@pytest.mark.thorough
def test_a_signal_for_each_sample_has_the_less_variance_the_more_samples():
    level = jd.bounds.vimco(log_weight, num_samples=1000)(KEY, Q)

    def ratio(num_samples):
        shared = jd.bounds.multi_sample_nvil(
            log_weight, baseline=level, num_samples=num_samples
        )
        own = jd.bounds.vimco(log_weight, num_samples=num_samples)
        return variance(shared) / variance(own)

    few, many = ratio(2), ratio(10)
    assert few > 1.0
    assert many > 10.0


def test_one_sample_is_nvil():
    one = jd.bounds.multi_sample_nvil(log_weight, baseline=0.5, num_samples=1)
    (key,) = jax.random.split(KEY, 1)
    expected = jax.jit(jax.value_and_grad(jd.nvil(log_weight, baseline=0.5), 1))(key, Q)
    assert_close(jax.jit(jax.value_and_grad(one, 1))(KEY, Q), expected)


def test_a_dominating_weight_loses_no_precision():
    """Its signal is its distance to the others, not the difference of two sums."""

    def dominated(z):
        return 200.0 * z[0]

    q = jd.Bernoulli(jnp.array([-1.0]))
    estimate = jd.bounds.vimco(lambda z: (dominated(z), z), num_samples=4, has_aux=True)
    gradient = jax.jit(jax.grad(estimate, 1, has_aux=True))
    seen = 0
    for key in jax.random.split(KEY, 20):
        g, z = gradient(key, q)
        if z.sum() == 1:
            # The one with weight e^200 replaced by 1, the others by e^(200/3).
            p = jax.nn.sigmoid(-1.0)
            alone = 200.0 + np.log(1.0) - np.log(4.0)
            rest = np.logaddexp(200.0, 200.0 / 3) - np.logaddexp(200.0, 0.0)
            expected = alone * (1 - p) + 3 * (0.0 - rest) * (-p)
            np.testing.assert_allclose(g.logits[0], expected, rtol=1e-5)
            seen += 1
    assert seen > 3


@pytest.mark.parametrize(
    "make",
    daily(
        [jd.bounds.vimco],
        [jd.reinforce_loo, jd.reinforce_optimal_baseline, jd.bounds.vimco],
    ),
)
def test_chunks_give_the_same_gradient(make):
    @jax.jit
    def both(q):
        return [
            jax.value_and_grad(make(log_weight, num_samples=8, chunk_size=n), 1)(KEY, q)
            for n in (None, 3, 8)
        ]

    whole, *in_chunks = both(Q)
    for chunked in in_chunks:
        assert_close(chunked, whole, rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "make", daily([jd.bounds.vimco], [jd.reinforce_loo, jd.bounds.vimco])
)
def test_a_thousand_samples_in_the_memory_of_sixty_four(make):
    weights = jnp.ones((256, 512))
    q = jd.Bernoulli(jnp.zeros(256))

    def g(z, w):
        return jnp.sum(jnp.sin(jnp.tanh(z @ w) * 2.0))

    def step(num_samples, chunk_size):
        estimate = make(g, num_samples=num_samples, chunk_size=chunk_size)
        gradient = jax.grad(lambda q, w: estimate(KEY, q, w), argnums=(0, 1))
        return temporary_bytes(gradient, q, weights)

    few, many, chunked = step(64, None), step(1024, None), step(1024, 64)
    assert many > 8 * few
    # What the loop adds to the memory of one chunk is the running sum of w's gradient.
    assert chunked < 1.2 * few + weights.nbytes


SHARDED = {
    "reinforce_loo": lambda s: jd.reinforce_loo(log_weight, num_samples=8, sharding=s),
    "vimco": lambda s: jd.bounds.vimco(log_weight, num_samples=8, sharding=s),
    "disarm": lambda s: jd.disarm(log_weight, num_samples=16, sharding=s),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", daily(["vimco"], SHARDED))
def test_samples_over_devices_give_the_same_numbers(name):
    """Batch and samples on the two axes of a mesh; no collective by hand."""
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("batch", "samples"))
    samples = NamedSharding(mesh, P("samples"))
    rows = NamedSharding(mesh, P("batch"))
    logits = jax.random.normal(KEY, (4, 3))
    keys = jax.random.split(jax.random.key(1), 4)

    def loss(sharding):
        estimate = SHARDED[name](sharding)

        def batch(logits, keys):
            return jax.vmap(lambda k, a: estimate(k, jd.Bernoulli(a)))(
                keys, logits
            ).mean()

        return jax.jit(jax.value_and_grad(batch))

    expected = loss(None)(logits, keys)
    placed = jax.device_put(logits, rows), jax.device_put(keys, rows)
    compiled = loss(samples).lower(*placed).compile()
    assert_close(compiled(*placed), expected)
    # Not one device doing everything: samples meet across devices.
    assert "all-reduce" in compiled.as_text() or "all-gather" in compiled.as_text()


@pytest.mark.parametrize(
    ("bound", "num_samples"),
    daily(
        [(jd.bounds.vimco, 2)],
        list(itertools.product([jd.bounds.vimco, jd.bounds.local_disarm], [2, 4, 6])),
    ),
)
def test_no_infinity_inside(bound, num_samples):
    """Whoever looks for infinities with jax_debug_infs would be stopped here."""
    estimate = bound(lambda z: -jnp.sum((z - 0.4) ** 2), num_samples=num_samples)
    with jax.debug_infs(True):
        gradient = jax.grad(estimate, argnums=1)(KEY, jd.Bernoulli(jnp.zeros(3)))
    assert jnp.all(jnp.isfinite(gradient.logits))
