"""Texts of the checks that estimators share, each with its remedy."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.samplers import BareSampler

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))


def total(z):
    return jnp.sum(z)


def mean_total(q):
    return q.mean().sum()


TEMPERATURES = [0.0, -1.0, np.nan, np.inf, np.array([0.5, -0.5]), jnp.array(-0.1)]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(
    "transform",
    [
        lambda t: jd.rebar(total, temperature=t, scale=1.0),
        lambda t: jd.rebar(
            total, temperature=t, conditional_noise=jd.independent_noise
        ),
        lambda t: jd.relax(total, total, temperature=t),
        lambda t: jd.relax_rebar(total, total, temperature=t),
        lambda t: jd.gumbel_softmax(total, temperature=t),
        lambda t: jd.straight_through_gumbel_softmax(total, temperature=t),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=t, backward_temperature=1.0
        ),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=1.0, backward_temperature=t
        ),
        lambda t: jd.gapped_straight_through(total, temperature=t),
        lambda t: jd.gumbel_rao(total, temperature=t, num_noise=2),
        lambda t: jd.reinmax(total, temperature=t),
        lambda t: jd.sample_gumbel_softmax(KEY, jnp.zeros(2), t),
    ],
)
def test_temperature_must_be_positive(transform, temperature, no_compute):
    match = (
        r"(?s)Expected \w*temperature (> 0, got .*jnp.exp\(log_|to be finite, got inf)"
    )
    with pytest.raises(ValueError, match=match):
        transform(temperature)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (jnp.ones(3), r"latent's shape \(2,\), got shape \(3,\).*one entry per latent"),
        ({"a": 1.0}, "pytree of q's structure"),
    ],
)
def test_temperature_and_scale_must_fit_the_latents(given, match, no_compute):
    for bad in (
        {"temperature": given, "scale": 1.0},
        {"temperature": 1.0, "scale": given},
    ):
        with pytest.raises(ValueError, match=match):
            jd.rebar(total, **bad)(KEY, Q)
    with pytest.raises(ValueError, match=match):
        jd.muprop(total, linear_scale=given)(KEY, Q)


@pytest.mark.parametrize(
    "transform",
    [
        lambda b: jd.reinforce(total, baseline=b),
        lambda b: jd.nvil(total, baseline=b),
        lambda b: jd.nvil(total, baseline=0.0, centre=b),
        lambda b: jd.muprop(total, baseline=b),
        lambda b: jd.rebar(total, temperature=1.0, scale=1.0, baseline=b),
        lambda b: jd.relax(total, total, temperature=1.0, baseline=b),
        lambda b: jd.control_variate(
            total, total, lambda q: q.mean().sum(), baseline=b
        ),
    ],
)
def test_baseline_must_be_one_scalar(transform, no_compute):
    match = r"(baseline|centre) to return one real scalar, got shape \(2,\)"
    with pytest.raises(ValueError, match=match):
        transform(jnp.zeros(2))(KEY, Q)
    with pytest.raises(ValueError, match=match):
        transform(lambda: jnp.zeros(2))(KEY, Q)


def test_a_baseline_trained_by_variance_refuses_a_bare_sampler(no_compute):
    def loss(b, baseline_of):
        estimate = jd.reinforce(total, baseline=baseline_of(b))
        return estimate(KEY, BareSampler(jnp.zeros(2)))

    match = r"only log_prob\. Fit it by squared error: baseline=jaxdiscrete.least_sq"
    for baseline_of in (lambda b: b, lambda b: lambda: b):
        gradient = jax.grad(lambda b, of=baseline_of: loss(b, of))
        with pytest.raises(TypeError, match=match):
            jax.eval_shape(gradient, jnp.array(0.0))


@pytest.mark.parametrize("number", [2.0, 2, np.float32(2.0), jnp.array(2.0)])
def test_the_type_of_a_baseline_changes_nothing(number):
    def gradient(logits, baseline):
        estimate = jd.reinforce(total, baseline=baseline)
        return jax.grad(lambda x: estimate(KEY, BareSampler(x)))(logits)

    as_array = jnp.asarray(number, jnp.float32)
    baselines = (2.0, number, lambda: as_array)
    expected, *others = jax.jit(lambda x: [gradient(x, b) for b in baselines])(Q.logits)
    for other in others:
        np.testing.assert_array_equal(other, expected)


def test_has_aux_must_be_a_pair():
    with pytest.raises(TypeError, match=r"\(scalar, aux\) with has_aux=True, got"):
        jd.reinforce(total, has_aux=True)(KEY, Q)


def test_arguments_that_hide_arrays_are_refused_where_they_must_be_stopped():
    match = r"got function, which may hide arrays.*jax\.tree_util\.Partial"
    hidden = lambda z: jnp.sum(z)  # noqa: E731
    with pytest.raises(TypeError, match=match):
        jd.reinforce(lambda z, h: h(z), baseline=lambda h: 0.0)(KEY, Q, hidden)
    estimate = jd.reinforce(lambda z, h: h(z), baseline=lambda h: 0.0)
    assert bool(jnp.isfinite(estimate(KEY, Q, jax.tree_util.Partial(hidden))))


def test_none_is_named():
    for bad in (
        {"temperature": None, "scale": 1.0},
        {"temperature": 1.0, "scale": None},
    ):
        with pytest.raises(TypeError, match="to be a number or an array, got None"):
            jd.rebar(total, **bad)(KEY, Q)


@pytest.mark.parametrize("f", [None, 3.0])
def test_f_must_be_a_function(f):
    for transform in (jd.reinforce, jd.exact):
        with pytest.raises(TypeError, match=r"f to be a function, got (None|fl)"):
            transform(f)


@pytest.mark.parametrize("key", [0, None, "key"])
def test_a_key_must_be_one(key):
    with pytest.raises(TypeError, match=r"jaxdiscrete\.reinforce .* a PRNG key, got"):
        jd.reinforce(total)(key, Q)


@pytest.mark.parametrize("key", [jax.random.split(KEY, 3), jnp.ones(2)])
def test_keys_are_not_batched(key, no_compute):
    with pytest.raises(TypeError, match=r"one PRNG key, got an array of shape .*vmap"):
        jd.exact(total)(key, Q)


@pytest.mark.parametrize("logits", [None, "logits", [0.1, 0.2]])
def test_logits_must_be_an_array(logits):
    match = r"Bernoulli logits to be an array, got (NoneType|str|list)"
    with pytest.raises(TypeError, match=match):
        jd.reinforce(total)(KEY, jd.Bernoulli(logits))


def test_logits_must_be_floating(no_compute):
    for logits in (np.array([None]), jnp.arange(3)):
        with pytest.raises(TypeError, match=r"of a floating dtype, got (object|int32)"):
            jd.reinforce(total)(KEY, jd.Bernoulli(logits))


def test_the_number_of_states_is_told_in_powers_of_ten(no_compute):
    with pytest.raises(ValueError, match=r"got 10\*\*6020\.6\. Raise"):
        jd.exact(total)(KEY, jd.Bernoulli(jnp.zeros(20_000)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OwnLogProb:
    """Two bits, and a log-probability that is a function of what is right."""

    logits: jax.Array
    change: Callable = dataclasses.field(metadata={"static": True})

    def sample(self, key):
        return jd.Bernoulli(self.logits).sample(key)

    def log_prob(self, z):
        return self.change(jd.Bernoulli(self.logits).log_prob(z))


@pytest.mark.parametrize(
    "change", [lambda x: x.astype(int), lambda x: x.astype(complex), lambda x: None]
)
def test_log_prob_must_be_real_numbers(change, no_compute):
    match = "log_prob of OwnLogProb in .* real floating numbers, got (int|comp|None)"
    with pytest.raises(TypeError, match=match):
        jd.reinforce_loo(total, num_samples=2)(KEY, OwnLogProb(Q.logits, change))


@pytest.mark.parametrize("change", [jax.lax.stop_gradient, lambda x: jnp.zeros(2)])
def test_log_prob_must_depend_on_the_parameters(change, no_compute):
    with pytest.raises(TypeError, match=r"OwnLogProb .* zero by construction"):
        jd.reinforce(total)(KEY, OwnLogProb(Q.logits, change))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OwnParameters(OwnLogProb):
    """The same, whose leaves may be given a gradient."""

    leaves_are_parameters = True


def of_a_program(f):
    def model(sample, cost, q):
        cost(f(sample(jd.reinforce, q)))

    return jd.program(model)


def of_a_sequence(f):
    def estimate(key, q):
        def step(carry, z, x):
            return carry, f(z) + x

        return jd.sequential(jd.reinforce, lambda *_: (q, ()), step)(
            key, (), jnp.zeros(2)
        )

    return estimate


@pytest.mark.parametrize(
    "transform",
    [
        jd.reinforce,
        jd.dice,
        lambda f: jd.reinforce_loo(f, num_samples=2),
        lambda f: jd.control_variate(f, lambda z: z[0], lambda q: q.logits[0]),
        lambda f: jd.reinforce_optimal_baseline(f, num_samples=2),
        lambda f: jd.reinforce_running_optimal_baseline(
            f, weighted_value=0.5, weight=1.0
        ),
        of_a_program,
        of_a_sequence,
    ],
)
def test_a_log_prob_that_rules_out_its_own_sample_gives_no_numbers(transform):
    """Minus infinity that is added has no derivative: that of the rest would stay."""
    f = lambda z: 1.0 + z[0] + 3.0 * z[1]  # noqa: E731
    q = OwnParameters(Q.logits[:2], lambda x: x - jnp.inf)
    keys = jax.random.split(KEY, 5)
    gradient = jax.jit(jax.vmap(jax.grad(transform(f), 1), (0, None)))
    assert jnp.isnan(gradient(keys, q).logits).any()
    right = OwnParameters(Q.logits[:2], lambda x: x)
    assert jnp.isfinite(gradient(keys, right).logits).all()


def test_what_the_caller_has_stopped_passes():
    q = jax.lax.stop_gradient(OwnLogProb(Q.logits, lambda x: x))
    assert jd.reinforce(total)(KEY, q).shape == ()
    stopped = jax.lax.stop_gradient(Q)
    jd.control_variate(total, total, mean_total)(KEY, stopped)


@pytest.mark.parametrize(
    "mean",
    [
        lambda q: mean_total(Q),
        lambda q: 1.0,
        lambda q: jax.lax.stop_gradient(mean_total(q)),
    ],
)
def test_the_mean_of_a_control_must_depend_on_q(mean, no_compute):
    estimate = jd.control_variate(total, total, mean)
    with pytest.raises(TypeError, match=r"mean of .* to depend on its argument q, got"):
        estimate(KEY, Q)
