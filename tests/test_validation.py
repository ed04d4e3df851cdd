"""Bad input: an error before any compute, each text with its remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import BareSampler
from estimators import ALL, BARE, KINDS, initial_cv

import jaxdiscrete as jd

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))
everything = pytest.mark.parametrize("name", ALL)


def total(z):
    return jnp.sum(z)


def mean_total(q):
    return q.mean().sum()


def small(name):
    """Two variables or two classes, as the estimator takes them."""
    return KINDS[ALL[name].kind].of(Q.logits)


def build(name, f=total):
    return ALL[name].make(f, initial_cv(), False)


@pytest.fixture
def no_compute(monkeypatch):
    """Fails the test if a random bit is drawn for real."""
    original = jax.random.bits

    def guarded(key, shape=(), dtype=jnp.uint32):
        with pytest.raises(jax.errors.TracerArrayConversionError):
            np.asarray(jax.random.key_data(key))  # a real key is one of a real draw
        return original(key, shape, dtype)

    monkeypatch.setattr(jax.random, "bits", guarded)


@everything
@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (lambda z: z, ValueError, r"f to return one real scalar, got shape \(2,\)"),
        (lambda z: (z[0], z[1]), TypeError, "pass has_aux=True for"),
        (lambda z: {"loss": z[0]}, TypeError, "one real scalar, got {'loss'"),
        (lambda z: jnp.int32(3), TypeError, r"floating dtype, got int32.*astype"),
        (lambda z: jnp.complex64(1j), TypeError, "floating dtype, got complex64"),
    ],
)
def test_objective_must_return_one_real_scalar(name, f, error, match, no_compute):
    with pytest.raises(error, match=match):
        build(name, f)(KEY, small(name))


@everything
def test_logits_must_be_floating(name, no_compute):
    match = r"Bernoulli logits of a floating dtype, got int32.*astype\(jnp.float32\)"
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, jd.Bernoulli(jnp.array([0, 1])))
    with pytest.raises(TypeError, match="OneHotCategorical logits of a floating"):
        build(name)(KEY, jd.OneHotCategorical(jnp.array([0, 1])))


@everything
def test_empty_logits(name, no_compute):
    with pytest.raises(ValueError, match=r"at least one entry, got shape \(0,\)"):
        build(name)(KEY, jd.Bernoulli(jnp.zeros(0)))
    with pytest.raises(ValueError, match=r"at least one entry, got shape \(2, 0\)"):
        build(name)(KEY, jd.OneHotCategorical(jnp.zeros((2, 0))))
    with pytest.raises(ValueError, match=r"shape \[..., K\], got a scalar"):
        build(name)(KEY, jd.OneHotCategorical(jnp.float32(0.0)))


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.kind != "binary"])
def test_a_row_of_only_minus_infinity(name):
    q = jd.OneHotCategorical(jnp.array([[0.0, 1.0], [-jnp.inf, -jnp.inf]]))
    with pytest.raises(ValueError, match="a row of only -inf"):
        build(name)(KEY, q)
    value = jax.jit(lambda q: build(name)(KEY, q))(q)
    assert bool(jnp.isnan(value)), "never a silent class 0"


@everything
def test_q_must_hold_distributions(name, no_compute):
    with pytest.raises(TypeError, match=r"got ArrayImpl. Wrap logits as"):
        build(name)(KEY, jnp.zeros(3))
    with pytest.raises(TypeError, match="at least one distribution, got an empty"):
        build(name)(KEY, {})


@pytest.mark.parametrize("name", [n for n in ALL if n not in BARE])
def test_what_needs_more_refuses_a_bare_sampler(name, no_compute):
    match = (
        r"(no relaxation\. Use jaxdiscrete\.reinforce_loo|"
        r"gives only log_prob\. Use jaxdiscrete\.nvil|"
        r"which is an estimator for .* variables, got BareSampler.*reinforce_loo)"
    )
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, BareSampler(jnp.zeros(2)))


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.differentiates])
@pytest.mark.parametrize(
    "f",
    [
        lambda z: jnp.sum(jnp.round(z)),
        lambda z: jnp.sum(jnp.where(z > 0.5, 1.0, 0.0)),
        lambda z: jnp.sum(z.astype(jnp.int32)).astype(jnp.float32),
        lambda z: jax.lax.stop_gradient(jnp.sum(z)),
        jax.jit(lambda z: jnp.argmax(z).astype(jnp.float32)),
    ],
    ids=["round", "compare", "integer", "stop_gradient", "argmax"],
)
def test_no_silent_zero_gradient(name, f, no_compute):
    match = "derivative is zero by construction.*use jaxdiscrete.reinforce_loo"
    with pytest.raises(TypeError, match=match):
        build(name, f)(KEY, small(name))


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.differentiates])
def test_an_unused_latent_is_fine_and_one_of_two_is_found(name):
    q = {"a": small(name), "b": small(name)}
    gradient = jax.grad(build(name, lambda z: jnp.sum(z["a"])), 1)(KEY, q)
    assert bool(jnp.all(gradient["b"].logits * 0 == 0))
    mixed = lambda z: jnp.sum(z["a"]) + jnp.sum(jnp.round(z["b"]))  # noqa: E731
    with pytest.raises(TypeError, match="derivative is zero by construction"):
        build(name, mixed)(KEY, q)


TEMPERATURES = [0.0, -1.0, float("nan"), np.array([0.5, -0.5]), jnp.array(-0.1)]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(
    "transform",
    [
        lambda t: jd.rebar(total, temperature=t, scale=1.0),
        lambda t: jd.rebar_independent(total, temperature=t, scale=1.0),
        lambda t: jd.relax(total, total, temperature=t),
        lambda t: jd.relax_independent(total, total, temperature=t),
        lambda t: jd.gumbel_softmax(total, temperature=t),
        lambda t: jd.straight_through_gumbel_softmax(total, temperature=t),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=t, backward_temperature=1.0
        ),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=1.0, backward_temperature=t
        ),
        lambda t: jd.gapped_straight_through(total, temperature=t),
        lambda t: jd.gumbel_rao(total, temperature=t, num_samples=2),
        lambda t: jd.reinmax(total, temperature=t),
        lambda t: jd.sample_gumbel_softmax(KEY, jnp.zeros(2), t),
    ],
)
def test_temperature_must_be_positive(transform, temperature, no_compute):
    match = r"(?s)Expected \w*temperature > 0, got .*jnp.exp\(log_temperature\)"
    with pytest.raises(ValueError, match=match):
        transform(temperature)


@pytest.mark.parametrize("slope", [0.0, -2.0, float("nan")])
def test_slope_must_be_positive(slope, no_compute):
    with pytest.raises(ValueError, match=r"Expected slope > 0, got .* 1 is the deriv"):
        jd.straight_through(total, slope=slope)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (jnp.ones(3), r"latent's shape \(2,\), got shape \(3,\).*one entry a latent"),
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


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if e.kind != "any"])
def test_an_estimator_of_one_kind_refuses_the_other(name, no_compute):
    kind = ALL[name].kind
    other = KINDS["categorical" if kind == "binary" else "binary"].of(Q.logits)
    match = rf"estimator for {kind} variables, got {type(other).__name__}.*_loo takes"
    with pytest.raises(TypeError, match=match):
        build(name)(KEY, {"a": small(name), "b": other})


@pytest.mark.parametrize("num_samples", [1, 0, -3])
def test_leave_one_out_refuses_one_sample(num_samples):
    for transform in (jd.reinforce_loo, jd.reinforce_optimal_baseline):
        match = (
            rf"num_samples >= 2 in jaxdiscrete.{transform.__name__}, got {num_samples}"
        )
        with pytest.raises(ValueError, match=match):
            transform(total, num_samples=num_samples)


def test_number_of_samples_is_a_static_integer():
    with pytest.raises(TypeError, match="to be a Python int, got float"):
        jd.reinforce_loo(total, num_samples=2.0)
    with pytest.raises(
        ValueError, match=r"num_samples >= 1 in jaxdiscrete\.monte_carlo"
    ):
        jd.monte_carlo(jd.reinforce(total), num_samples=0)
    with pytest.raises(
        ValueError, match=r"num_samples >= 1 in jaxdiscrete\.monte_carlo"
    ):
        jd.monte_carlo(jd.reinforce(total), num_samples=-1, chunk_size=4)
    with pytest.raises(ValueError, match=r"chunk_size >= 1 in jaxdiscrete"):
        jd.monte_carlo(jd.reinforce(total), num_samples=4, chunk_size=0)


@pytest.mark.parametrize(
    "transform",
    [
        lambda b: jd.reinforce(total, baseline=b),
        lambda b: jd.nvil(total, b),
        lambda b: jd.nvil(total, 0.0, centre=b),
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


def test_critic_b_and_mean_must_return_one_scalar(no_compute):
    with pytest.raises(ValueError, match="critic to return one real scalar, got sh"):
        jd.relax(total, lambda z: z, temperature=1.0)(KEY, Q)
    with pytest.raises(TypeError, match=r"critic of jaxdiscrete\.relax to be diff"):
        jd.relax(total, lambda z: jnp.sum(jnp.round(z)), temperature=1.0)(KEY, Q)
    with pytest.raises(ValueError, match=r"Expected b to return one real scalar"):
        jd.control_variate(total, lambda z: z, mean_total)(KEY, Q)
    with pytest.raises(ValueError, match=r"Expected mean to return one real scalar"):
        jd.control_variate(total, total, lambda q: q.mean())(KEY, Q)


def test_a_baseline_trained_by_variance_refuses_a_bare_sampler(no_compute):
    for baseline in (jnp.array(0.0), lambda: 0.0):
        with pytest.raises(TypeError, match=r"only log_prob\. Use jaxdiscrete\.nvil"):
            jd.reinforce(total, baseline=baseline)(KEY, BareSampler(jnp.zeros(2)))


def test_has_aux_must_be_a_pair():
    with pytest.raises(TypeError, match=r"\(scalar, aux\) with has_aux=True, got"):
        jd.reinforce(total, has_aux=True)(KEY, Q)


def test_too_many_states():
    with pytest.raises(ValueError, match=r"max_states=65536 .*got 1099511627776"):
        jd.exact(total)(KEY, jd.Bernoulli(jnp.zeros(40)))
    with pytest.raises(ValueError, match=r"max_states=3 joint states.*got 4"):
        jd.exact(total, max_states=3)(KEY, Q)


def test_one_class_has_no_critical_temperature():
    with pytest.raises(ValueError, match=r"num_classes >= 2 in .*, got 1"):
        jd.critical_temperature(1)


def test_mismatch_of_classes_inside_f():
    other = jd.OneHotCategorical(jnp.zeros(4))
    f = lambda z: other.log_prob(z)  # noqa: E731
    with pytest.raises(ValueError, match=r"are \(4,\), the shape of the logits, got"):
        jd.reinforce(f)(KEY, jd.OneHotCategorical(jnp.zeros(3)))


def test_arguments_that_hide_arrays_are_refused_where_they_must_be_stopped():
    match = r"got function, which may hide arrays.*jax\.tree_util\.Partial"
    hidden = lambda z: jnp.sum(z)  # noqa: E731
    with pytest.raises(TypeError, match=match):
        jd.reinforce(lambda z, h: h(z), baseline=lambda h: 0.0)(KEY, Q, hidden)
    with pytest.raises(TypeError, match=match):
        jd.relax(lambda z, h: h(z), lambda z, h: h(z), temperature=1.0)(KEY, Q, hidden)
    visible = jax.tree_util.Partial(hidden)
    estimate = jd.relax(lambda z, h: h(z), lambda z, h: h(z), temperature=1.0)
    assert bool(jnp.isfinite(estimate(KEY, Q, visible)))


def test_none_is_named():
    for bad in (
        {"temperature": None, "scale": 1.0},
        {"temperature": 1.0, "scale": None},
    ):
        with pytest.raises(TypeError, match="to be a number or an array, got None"):
            jd.rebar(total, **bad)(KEY, Q)


def test_lists_of_logits_are_named():
    with pytest.raises(TypeError, match=r"got a list. Use jnp\.asarray"):
        jd.reinforce(total)(KEY, jd.Bernoulli([0.5, 1.0]))


def test_exact_names_what_it_needs():
    with pytest.raises(TypeError, match=r"enumerate_support .*got BareSampler"):
        jd.exact(total)(KEY, BareSampler(jnp.zeros(2)))
