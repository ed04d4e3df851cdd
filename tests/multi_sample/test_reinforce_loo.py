"""Leave-one-out: its formula, and the traps that it avoids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.memory import temporary_bytes
from tests.helpers.parameters import daily
from tests.helpers.statistics import gradient_samples
from tests.helpers.trees import assert_close
from tests.multi_sample.problems import KEY, Q, f, variance


def test_a_constant_added_to_f_changes_reinforce_and_not_leave_one_out():
    def shifted(z):
        return f(z) + 100.0

    assert variance(jd.reinforce(shifted)) > 50 * variance(jd.reinforce(f))
    plain = jax.jit(jax.grad(jd.reinforce_loo(f, num_samples=4), 1))(KEY, Q)
    moved = jax.jit(jax.grad(jd.reinforce_loo(shifted, num_samples=4), 1))(KEY, Q)
    assert_close(plain, moved, rtol=1e-4, atol=1e-4)


def test_leave_one_out_is_the_formula_of_its_docstring():
    estimate = jd.reinforce_loo(lambda z: (f(z), z), num_samples=5, has_aux=True)
    (value, z), gradient = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))(
        KEY, Q
    )
    values = jax.jit(jax.vmap(f))(z)
    scores = np.asarray(z) - np.asarray(Q.mean())[None]
    signal = np.asarray(values - values.mean())[:, None]
    assert_close(value, values.mean())
    assert_close(gradient.logits, (signal * scores).sum(0) / 4, rtol=1e-4)


def test_group_mean_would_shrink_the_gradient():
    """The trap: with the mean of all samples the gradient is (K - 1) / K of it."""
    estimate = jd.reinforce_loo(f, num_samples=2)
    exact = jax.jit(jax.grad(jd.exact(f), 1))(KEY, Q).logits
    mean = gradient_samples(estimate, Q).mean(axis=0)
    np.testing.assert_allclose(mean, exact, rtol=0.03)
    assert np.all(np.abs(mean - 0.5 * exact) > 0.3 * np.abs(exact))


@pytest.mark.thorough
def test_a_recurrent_sampler_keeps_one_copy_of_its_weights():
    """A sampler with sample and log_prob, vmapped, without per-example gradients."""
    size, length, batch = 64, 8, 128
    weights = {
        "recurrent": jax.random.normal(KEY, (size, size)) / 8.0,
        "out": jax.random.normal(jax.random.key(1), (size, 2)) / 8.0,
    }

    class Sequence:
        def __init__(self, weights):
            self.weights = weights

        def run(self, choose, tokens):
            def body(state, token):
                h, logits = state, state @ self.weights["out"]
                symbol, log_p = choose(token, logits)
                h = jnp.tanh(h @ self.weights["recurrent"] + symbol.astype(h.dtype))
                return h, (symbol, log_p)

            return jax.lax.scan(body, jnp.ones(size), tokens)[1]

        def sample(self, key):
            def choose(key, logits):
                return jax.random.categorical(key, logits), 0.0

            return self.run(choose, jax.random.split(key, length))[0]

        def log_prob(self, z):
            def choose(token, logits):
                return token, jax.nn.log_softmax(logits)[token]

            return self.run(choose, z)[1].sum()

    def reward(z):
        return jnp.sum(z.astype(jnp.float32))

    keys = jax.random.split(KEY, batch)

    def loss(weights):
        q = Sequence(weights)
        return jax.vmap(lambda k: jd.reinforce_loo(reward, num_samples=2)(k, q))(
            keys
        ).mean()

    def by_hand(weights):
        q = Sequence(weights)

        def one(key):
            pair = jax.random.split(key, 2)
            z = jax.lax.stop_gradient(jax.vmap(q.sample)(pair))
            r = jax.vmap(reward)(z)
            advantage = jax.lax.stop_gradient((r - r[::-1]) / 2.0)
            return jnp.sum(advantage * jax.vmap(q.log_prob)(z))

        return jax.vmap(one)(keys).mean()

    assert_close(
        jax.jit(jax.grad(loss))(weights), jax.jit(jax.grad(by_hand))(weights), atol=1e-5
    )
    copies = batch * size * size * 4
    ours = temporary_bytes(jax.grad(loss), weights)
    assert ours < 1.5 * temporary_bytes(jax.grad(by_hand), weights) + copies / 8


@pytest.mark.parametrize("num_samples", [1, 0, -3])
def test_leave_one_out_refuses_one_sample(num_samples):
    for transform in (jd.reinforce_loo, jd.reinforce_optimal_baseline):
        match = (
            rf"num_samples >= 2 in jaxdiscrete.{transform.__name__}, got {num_samples}"
        )
        with pytest.raises(ValueError, match=match):
            transform(jnp.sum, num_samples=num_samples)


@pytest.mark.parametrize("constant", daily([1e6 + 0.1], [0.2, 1e6 + 0.1]))
def test_equal_rewards_have_no_gradient(constant):
    estimate = jd.reinforce_loo(lambda z: constant + 0.0 * z.sum(), num_samples=8)
    gradient = jax.grad(estimate, argnums=1)
    for seed in range(5):
        q = jd.Bernoulli(jnp.array([0.3, -0.8]))
        assert not gradient(jax.random.key(seed), q).logits.any()
