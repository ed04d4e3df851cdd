"""Variance laws, optimal constants and memory of estimators of several samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_close, flat_rows, gradient_samples

import jaxdiscrete as jd

Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
KEY = jax.random.key(0)


def f(z):
    return jnp.dot(z, jnp.array([3.0, -2.0, 4.0])) + z[0] * z[1] + 5.0


def variance(estimate, q=Q, num=200_000):
    return gradient_samples(estimate, q, num=num).var(axis=0).sum()


def relative_error_of_a_variance(num=200_000):
    """Five standard errors of a variance estimated from num draws, kurtosis 10."""
    return 5.0 * (9.0 / num) ** 0.5


@pytest.mark.parametrize("num_samples", [2, 5])
def test_variance_of_the_mean_falls_as_one_over_m(num_samples):
    one = jd.reinforce(f)
    many = jd.monte_carlo(one, num_samples=num_samples)
    ratio = variance(one) / variance(many)
    assert abs(ratio / num_samples - 1.0) < 2 * relative_error_of_a_variance()


def test_a_constant_added_to_f_changes_reinforce_and_not_leave_one_out():
    def shifted(z):
        return f(z) + 100.0

    assert variance(jd.reinforce(shifted)) > 50 * variance(jd.reinforce(f))
    plain = jax.grad(jd.reinforce_loo(f, num_samples=4), 1)(KEY, Q)
    moved = jax.grad(jd.reinforce_loo(shifted, num_samples=4), 1)(KEY, Q)
    assert_close(plain, moved, rtol=1e-4, atol=1e-4)


def test_leave_one_out_and_optimal_baseline_are_below_reinforce():
    plain = variance(jd.monte_carlo(jd.reinforce(f), num_samples=4))
    for transform in (jd.reinforce_loo, jd.reinforce_optimal_baseline):
        assert variance(transform(f, num_samples=4)) < 0.5 * plain


def test_leave_one_out_is_the_formula_of_its_docstring():
    estimate = jd.reinforce_loo(lambda z: (f(z), z), num_samples=5, has_aux=True)
    (value, z), gradient = jax.value_and_grad(estimate, 1, has_aux=True)(KEY, Q)
    values = jax.vmap(f)(z)
    scores = np.asarray(z) - np.asarray(Q.mean())[None]
    signal = np.asarray(values - values.mean())[:, None]
    assert_close(value, values.mean())
    assert_close(gradient.logits, (signal * scores).sum(0) / 4, rtol=1e-4)


def test_group_mean_would_shrink_the_gradient():
    """The trap: with the mean of all samples the gradient is (K - 1) / K of it."""
    estimate = jd.reinforce_loo(f, num_samples=2)
    exact = jax.grad(jd.exact(f), 1)(KEY, Q).logits
    mean = gradient_samples(estimate, Q).mean(axis=0)
    np.testing.assert_allclose(mean, exact, rtol=0.03)
    assert np.all(np.abs(mean - 0.5 * exact) > 0.3 * np.abs(exact))


def test_optimal_baseline_is_the_leave_one_out_ratio_of_its_docstring():
    estimate = jd.reinforce_optimal_baseline(
        lambda z: (f(z), z), num_samples=4, has_aux=True
    )
    (_, z), gradient = jax.value_and_grad(estimate, 1, has_aux=True)(KEY, Q)
    values = np.asarray(jax.vmap(f)(z), np.float64)
    scores = np.asarray(z, np.float64) - np.asarray(Q.mean(), np.float64)
    weights = (scores**2).sum(axis=1)
    expected = np.zeros(3)
    for k in range(4):
        rest = [j for j in range(4) if j != k]
        c = (values * weights)[rest].sum() / weights[rest].sum()
        expected += (values[k] - c) * scores[k] / 4
    assert_close(gradient.logits, expected, rtol=1e-4)


def test_the_optimal_constant_has_the_least_variance():
    """The constant fitted by the variance is the ratio of the talk."""
    states, log_p = Q.enumerate_support(), None
    log_p = jax.vmap(lambda z: Q.log_prob(z).sum())(states)
    scores = states - Q.mean()[None]
    weight = jnp.exp(log_p) * jnp.sum(scores**2, axis=1)
    optimal = jnp.sum(weight * jax.vmap(f)(states)) / weight.sum()
    slopes = jax.vmap(
        jax.grad(lambda c, k: jd.reinforce(f, baseline=c)(k, Q)), (None, 0)
    )(optimal, jax.random.split(KEY, 200_000))
    se = float(slopes.std()) / len(slopes) ** 0.5
    assert abs(float(slopes.mean())) < 4.5 * se
    here = variance(jd.reinforce(f, baseline=float(optimal)))
    for shift in (-1.0, 1.0):
        assert variance(jd.reinforce(f, baseline=float(optimal) + shift)) > here


def test_zero_scores_fall_back_to_the_mean_of_the_others():
    q = jd.Bernoulli(jnp.array([1e4]))
    estimate = jd.reinforce_optimal_baseline(lambda z: z[0], num_samples=3)
    gradient = jax.grad(estimate, 1)(KEY, q)
    assert bool(jnp.all(gradient.logits == 0.0))


@pytest.mark.parametrize("chunk_size", [1, 3, 8, 100])
def test_chunks_give_the_same_gradient(chunk_size):
    cv = {"t": jnp.array(0.5), "s": jnp.array(0.9)}

    def loss(q, cv, chunk_size):
        one = jd.rebar(f, temperature=cv["t"], scale=cv["s"])
        many = jd.monte_carlo(one, num_samples=8, chunk_size=chunk_size)
        return many(KEY, q)

    both = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=2)
    assert_close(both(Q, cv, chunk_size), both(Q, cv, None), rtol=1e-4)


def temporary_bytes(fn, *args):
    return jax.jit(fn).lower(*args).compile().memory_analysis().temp_size_in_bytes


def test_chunked_samples_need_the_memory_of_one_chunk():
    """By the compiled program's own account, not by a clock."""
    weights = jnp.ones((256, 512))
    q = jd.Bernoulli(jnp.zeros(256))

    def g(z, w):
        return jnp.sum(jnp.sin(jnp.tanh(z @ w) * 2.0))

    def step(num_samples, chunk_size):
        estimate = jd.monte_carlo(
            jd.reinforce(g), num_samples=num_samples, chunk_size=chunk_size
        )
        gradient = jax.grad(lambda q, w: estimate(KEY, q, w), argnums=(0, 1))
        return temporary_bytes(gradient, q, weights)

    all_at_once = step(1024, None)
    chunked, fewer = step(1024, 64), step(256, 64)
    assert chunked < all_at_once / 3
    assert chunked < 1.2 * fewer + 2**17


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

    assert_close(jax.grad(loss)(weights), jax.grad(by_hand)(weights), atol=1e-5)
    copies = batch * size * size * 4
    ours = temporary_bytes(jax.grad(loss), weights)
    assert ours < 1.5 * temporary_bytes(jax.grad(by_hand), weights) + copies / 8


def test_variance_of_rebar_on_the_published_toy():
    """t = .45 at theta = .1: the modified relaxation gains, the plain one does not."""
    q = jd.Bernoulli(jnp.log(jnp.array([0.1 / 0.9])))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    reinforce = np.log(variance(jd.reinforce(toy), q, num=400_000))
    tuned = jd.rebar(toy, temperature=2.0, scale=2.8, relaxation=jd.muprop_relaxation)
    modified = np.log(variance(tuned, q, num=400_000))
    np.testing.assert_allclose([reinforce, modified], [-4.87, -5.94], atol=0.05)
    # The plain relaxation gains nothing at moderate temperatures, whatever the scale.
    for t in (0.1, 0.5, 1.0):
        for scale in (0.05, 0.3, 1.0):
            plain = jd.rebar(toy, temperature=t, scale=scale)
            assert np.log(variance(plain, q)) > reinforce - 0.05


def test_untuned_rebar_can_have_much_more_variance_than_reinforce():
    """Scale 1 and temperature .1 on the scalar toy: what training is for."""
    q = jd.Bernoulli(jnp.zeros(1))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    untuned = variance(jd.rebar(toy, temperature=0.1, scale=1.0), q)
    assert untuned > 3 * variance(jd.reinforce(toy), q)


def test_second_order_muprop_has_no_variance_for_quadratics():
    q = {
        "a": Q,
        "b": jd.OneHotCategorical(jnp.array([[0.3, -0.2, 0.5], [1.0, 0.0, 0.0]])),
    }

    def quadratic(z):
        x = jnp.concatenate([z["a"], z["b"].reshape(-1)])
        return jnp.sum(jnp.outer(x, x) * jnp.sin(jnp.arange(81.0).reshape(9, 9)))

    gradient = jax.grad(jd.muprop_second_order(quadratic), 1)
    keys = jax.random.split(KEY, 100)
    samples = flat_rows(jax.jit(jax.vmap(lambda k: gradient(k, q)))(keys))
    exact = flat_rows(
        jax.tree.map(lambda x: x[None], jax.grad(jd.exact(quadratic), 1)(KEY, q))
    )
    np.testing.assert_allclose(samples, np.repeat(exact, 100, axis=0), atol=1e-4)
