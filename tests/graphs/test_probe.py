"""Which estimators a site takes: those that use f at the drawn z alone."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import PARAMS, START, TRANSFORMS, chain
from tests.helpers.samplers import BareSampler

Q = jd.Bernoulli(jnp.array([0.3, -0.4]))


def run(transform):
    def model(sample, cost):
        cost(jnp.sum(sample(transform, Q)))

    jax.eval_shape(jd.program(model), jax.random.key(0))


def critic(z):
    return jnp.sum(z**2)


AT_OTHER_POINTS = "uses f only through its value at the drawn z"
ITS_OWN = "Expected an estimator of one hard sample, since z is given, got"
REFUSED = {
    "exact": (jd.exact, ITS_OWN),
    "local_expectation": (jd.local_expectation, AT_OTHER_POINTS),
    "measure_valued": (jd.measure_valued, AT_OTHER_POINTS),
    "unordered_set": (lambda f: jd.unordered_set(f, num_samples=2), ITS_OWN),
    "reinforce_loo": (lambda f: jd.reinforce_loo(f, num_samples=2), "num_samples=K"),
    "arm": (jd.arm, ITS_OWN),
    "monte_carlo": (lambda f: jd.monte_carlo(jd.reinforce(f), num_repeats=2), ITS_OWN),
    "gumbel_softmax": (
        lambda f: jd.gumbel_softmax(f, temperature=0.5),
        r"relax the samples in a plain jax\.lax\.scan",
    ),
    "straight_through": (jd.straight_through, ITS_OWN),
    "rebar": (lambda f: jd.rebar(f, temperature=0.5), "a relaxed_f"),
    "relax_rebar": (
        lambda f: jd.relax_rebar(f, critic, temperature=0.5),
        AT_OTHER_POINTS,
    ),
    "muprop": (jd.muprop, "for a derivative in z"),
    "muprop_second_order": (jd.muprop_second_order, AT_OTHER_POINTS),
    "bounds": (lambda f: jd.bounds.vimco(f, num_samples=2), ITS_OWN),
    "own_neighbours": (
        lambda f: lambda key, q: f(jd.act(key, q).z) - f(1.0 - jd.act(key, q).z),
        "evaluates it at 2 points",
    ),
    "own_mean": (lambda f: lambda key, q: f(q.mean()), "at another point"),
    "own_jitted": (lambda f: jax.jit(lambda key, q: f(q.mean())), "made of z or of q"),
    "own_opposite": (
        lambda f: lambda key, q: f(1.0 - jd.act(key, q).z),
        "at another point",
    ),
    "own_loop": (
        lambda f: (
            lambda key, q: jax.lax.fori_loop(
                0, 3, lambda i, total: total + f(jd.act(key, q).z), 0.0
            )
        ),
        AT_OTHER_POINTS,
    ),
    "own_batch": (
        lambda f: (
            lambda key, q: jax.vmap(lambda s: f(s * jd.act(key, q).z))(jnp.eye(2)).sum()
        ),
        r"at several points \(jax\.vmap\)",
    ),
    "own_slope": (
        lambda f: lambda key, q: jax.grad(f)(jd.act(key, q).z).sum(),
        AT_OTHER_POINTS,
    ),
    "own_without_f": (lambda f: lambda key, q: q.logits.sum(), "at 0 points"),
    "own_sampler": (
        lambda f: lambda key, q: f(q.sample(key)),
        r"takes its sample from jaxdiscrete\.act\(key, q\)",
    ),
    "no_function": (3, "Expected a transform in jaxdiscrete.program, such as"),
    "an_estimate": (
        jd.reinforce(critic),
        r"jaxdiscrete\.reinforce and not jaxdiscrete\.reinforce\(f\), got an estimate",
    ),
}


def test_an_exchange_of_two_decisions_is_another_point(no_compute):
    def exchanged(f):
        def estimate(key, q):
            z, _ = jd.act(key, q)
            return f({"a": z["b"], "b": z["a"]})

        return estimate

    def model(sample, cost):
        cost(sample(exchanged, {"a": Q, "b": Q})["a"].sum())

    with pytest.raises(TypeError, match="at another point"):
        jax.eval_shape(jd.program(model), jax.random.key(0))


@pytest.mark.parametrize("name", REFUSED)
def test_who_evaluates_f_elsewhere_is_refused(name, no_compute):
    transform, match = REFUSED[name]
    with pytest.raises(TypeError, match=match):
        run(transform)


def own(f):
    """An estimator of a user, of the kind that a site takes."""

    def estimate(key, q):
        z, _ = jd.act(key, q)
        value = f(z)
        log_prob = jnp.sum(q.log_prob(z))
        box = jnp.exp(log_prob - jax.lax.stop_gradient(log_prob))
        return box * jax.lax.stop_gradient(value)

    return estimate


@pytest.mark.parametrize(
    "transform", [own, jax.jit, lambda f: jax.jit(jd.reinforce(f)), jd.reinforce]
)
def test_an_estimator_of_ones_own_is_accepted(transform, no_compute):
    if transform is jax.jit:
        transform = lambda f: jax.checkpoint(own(f))  # noqa: E731
    run(transform)


def test_an_estimator_of_ones_own_sees_stopped_inputs():
    """As those of the library do: nothing of a baseline reaches the model."""

    def with_input(f):
        def estimate(key, q, h):
            z, _ = jd.act(key, q)
            return f(z) + q.log_prob(z) + 7.0 * h

        return estimate

    def loss(h):
        def model(sample, cost):
            cost(sample(with_input, jd.Bernoulli(jnp.array(0.3)), 2.0 * h))

        return jd.program(model)(jax.random.key(0))

    assert jax.grad(loss)(1.0) == 0.0


def test_samplers_that_hide_their_parameters(no_compute):
    """They are no pytrees, and their inputs may be anything."""
    transform = lambda f: jd.reinforce(  # noqa: E731
        f, baseline=lambda name: {"one": 1.0}[name]
    )

    def model(sample, cost):
        cost(jnp.sum(sample(transform, BareSampler(Q.logits), "one")))

    jax.eval_shape(jd.program(model), jax.random.key(0))

    def of_mean(f):
        return lambda key, q: f(jax.nn.sigmoid(q.logits))

    def elsewhere(sample, cost):
        cost(jnp.sum(sample(of_mean, BareSampler(Q.logits))))

    with pytest.raises(TypeError, match="at another point"):
        jax.eval_shape(jd.program(elsewhere), jax.random.key(0))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_estimator_of_the_value_at_z_is_accepted(name, no_compute):
    estimate = jd.sequential(TRANSFORMS[name], *chain(PARAMS))
    jax.eval_shape(estimate, jax.random.key(0), START, PARAMS["theta"])
