"""Why a gradient is zero, said in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, MAIN, once_per_package
from tests.battery.problems import KINDS

KEY = jax.random.key(0)
PARAMS = {"logits": jnp.array([0.5, -0.5, 1.0]), "weight": jnp.array(2.0)}


def f(z):
    return jnp.sum((z - 0.45) ** 2)


def q_of(params):
    return jd.Bernoulli(params["logits"])


def leaf(loss, name="logits", *args):
    leaves = {x.name: x for x in jd.gradient_path(loss, PARAMS, *args).leaves}
    return leaves[f"params[{name!r}]"]


def gumbel_argmax(params, key):
    index = jax.random.categorical(key, params["logits"])
    return jnp.dot(jax.nn.one_hot(index, 3), jnp.arange(3.0))


def bernoulli_bits(params, key):
    bits = jax.random.bernoulli(key, jax.nn.sigmoid(params["logits"]))
    return f(bits.astype(jnp.float32))


def sequence(params, key):
    def step(carry, k):
        z = jd.Bernoulli(params["logits"] + carry).sample(k)
        return z, f(z)

    return jax.lax.scan(step, jnp.zeros(3), jax.random.split(key, 4))[1].sum()


CUT = {
    "sample": (lambda p, key: f(q_of(p).sample(key)), "a comparison"),
    "jit": (jax.jit(lambda p, key: f(q_of(p).sample(key))), "a comparison"),
    "categorical": (gumbel_argmax, "argmax"),
    "bernoulli": (bernoulli_bits, "a comparison"),
    "scan": (sequence, "a comparison"),
    "round": (lambda p, key: jnp.sum(jnp.round(p["logits"])), "round"),
    "stop": (lambda p, key: jax.lax.stop_gradient(f(p["logits"])), "stop_gradient"),
    "cast": (
        lambda p, key: p["logits"].astype(jnp.int32).sum().astype(jnp.float32),
        "a cast to integers",
    ),
    "cond": (
        lambda p, key: jax.lax.cond(p["logits"][0] > 0, lambda: 1.0, lambda: 0.0),
        "a comparison",
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_what_is_zero_by_construction_is_named(name):
    loss, cut = CUT[name]
    gradient = jax.jit(jax.grad(loss))(PARAMS, KEY)["logits"]
    assert not np.any(gradient)
    report = jd.gradient_path(loss, PARAMS, KEY)
    found = leaf(loss, "logits", KEY)
    assert not report.ok
    assert found.is_used
    assert not found.has_path
    assert found.cuts == (cut,)
    text = str(report)
    assert "params['logits']: zero by construction. The loss depends on it only" in text
    assert f"through {cut}, which has no derivative." in text
    assert ("jaxdiscrete.reinforce_loo(f, num" in text) == (cut != "stop_gradient")


def test_an_unused_leaf_is_called_that():
    found = leaf(lambda p, key: f(p["logits"]), "weight", KEY)
    assert str(found) == "params['weight']: zero, the loss does not depend on it."
    assert not found.ok
    assert leaf(lambda p, key: f(p["logits"]), "logits", KEY).ok


def test_a_bound_of_hard_samples_is_partial():
    """The gradient of log q arrives, that through the sample does not."""

    def bound(params, key):
        z = q_of(params).sample(key)
        return f(z) * params["weight"] - q_of(params).log_prob(z).sum()

    assert np.any(jax.jit(jax.grad(bound))(PARAMS, KEY)["logits"])
    report = jd.gradient_path(bound, PARAMS, KEY)
    found = leaf(bound, "logits", KEY)
    assert not report.ok
    assert found.has_path
    assert found.cuts == ("a comparison",)
    assert "logits']: partial. The loss depends on it also through a comp" in str(
        report
    )
    assert leaf(bound, "weight", KEY).ok


CONTINUOUS = {
    "relu": lambda x: jax.nn.relu(x).sum(),
    "where": lambda x: jnp.where(x > 0, x, 0.1 * x).sum(),
    "softmax": lambda x: jax.nn.softmax(x)[0] + jax.nn.logsumexp(x),
    "max": lambda x: jnp.max(x) + jnp.abs(x).sum() + jnp.clip(x, 0.0, 0.3).sum(),
    "sort": lambda x: jnp.sort(x)[1],
    "cond": lambda x: jax.lax.cond(x[0] > 0, jnp.sum, lambda x: 2.0 * x.sum(), x),
    "stopped on purpose": lambda x: (x + jax.lax.stop_gradient(jnp.round(x) - x)).sum(),
    "scan": lambda x: jax.lax.scan(lambda c, y: (c * y, c), 1.0, x)[0],
    "map": lambda x: jax.lax.map(jnp.tanh, x).sum(),
    "remat": jax.checkpoint(lambda x: jnp.tanh(x).sum()),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_what_compares_inside_is_not_blamed(name):
    report = jd.gradient_path(CONTINUOUS[name], PARAMS["logits"])
    assert report.ok, str(report)
    assert str(report) == "params: reached."


@pytest.mark.parametrize("name", once_per_package(MAIN))
def test_every_estimator_reaches_its_distribution(name):
    entry = ALL[name]

    def loss(q, key):
        return entry.make(lambda z: f(z) + z[0] * z[1], initial_cv(), False)(key, q)

    assert jd.gradient_path(loss, KINDS[entry.kind].three, KEY).ok


def test_an_objective_is_examined_at_a_sample():
    """One answer a latent."""
    z = {"a": jnp.ones(3), "b": jnp.zeros(2)}
    report = jd.gradient_path(lambda z: f(z["a"]) + jnp.round(z["b"]).sum(), z)
    assert [x.ok for x in report.leaves] == [True, False]
    assert report.leaves[1].name == "params['b']"


def test_a_rule_without_a_name_is_still_found():
    """A custom derivative of zeros: only its own program tells."""

    @jax.custom_vjp
    def nothing(x):
        return x.sum()

    nothing.defvjp(lambda x: (x.sum(), x), lambda x, ct: (jnp.zeros_like(x),))
    report = jd.gradient_path(nothing, PARAMS["logits"])
    assert not report.ok
    assert "only through what it calls, which has no derivative" in str(report)


def test_nothing_is_computed():
    def loss(params):
        jax.debug.callback(lambda: pytest.fail("computed"))
        return params.sum()

    assert jd.gradient_path(loss, jnp.ones(2)).ok
    jax.effects_barrier()


@pytest.mark.parametrize(
    ("loss", "params", "error", "match"),
    [
        (f, jnp.arange(3), TypeError, "params of jaxdiscrete.gradient_path.*got int32"),
        (f, {}, TypeError, "to hold at least one array, got an empty"),
        (jnp.tanh, jnp.ones(2), ValueError, r"Expected loss to return.*shape \(2,\)"),
    ],
)
def test_bad_input(loss, params, error, match):
    with pytest.raises(error, match=match):
        jd.gradient_path(loss, params)


def chain_of(draw):
    """Decisions of which each sees the one before; a loss in the logits."""

    def loss(params, key):
        def body(previous, row):
            x, key = row
            value, z = draw(key, jd.Bernoulli(x + previous), previous)
            return z, value

        rows = (params["logits"], jax.random.split(key, 3))
        return jax.lax.scan(body, 0.0, rows)[1].sum()

    return loss


def by_reinforce(key, q, previous):
    cost = lambda z: (z * (1.0 + previous), z)  # noqa: E731
    return jd.reinforce(cost, has_aux=True)(key, q)


def branching(key, q, previous):
    """The decision before is a condition, and never a number."""
    value, z = jd.nvil(lambda z: (2.0 * z, z > 0), baseline=1.0, has_aux=True)(key, q)
    return value * jnp.where(previous > 0, 2.0, 1.0), jnp.where(z, 1.0, 0.0)


def stopped_state(key, q, previous):
    cost = lambda z: (z * (1.0 + previous), jnp.tanh(q.logits + z))  # noqa: E731
    value, h = jd.relax(cost, jnp.sum, temperature=0.5, has_aux=True)(key, q)
    return value, jax.lax.stop_gradient(h)


def of_several(key, q, previous):
    cost = lambda z: (z * (1.0 + previous), z)  # noqa: E731
    value, z = jd.reinforce_loo(cost, num_samples=2, has_aux=True)(key, q)
    return value, z[0]


def from_a_program(params, key):
    def model(sample, cost):
        z = sample(jd.reinforce, q_of(params))
        cost(f(z))
        return z

    value, z = jd.program(model, has_aux=True)(key)
    return value + z.sum()


def from_a_sequence(params, key):
    estimate = jd.sequential(
        jd.reinforce,
        lambda h, x: (jd.Bernoulli(x + h), ()),
        lambda h, z, x: (z, (z * (1.0 + h), z)),
        has_aux=True,
    )
    value, (last, _) = estimate(key, 0.0, params["logits"])
    return value + last


@pytest.mark.parametrize(
    "loss",
    [
        jax.jit(chain_of(by_reinforce)),
        chain_of(branching),
        from_a_program,
        *(
            pytest.param(loss, marks=pytest.mark.thorough)
            for loss in (
                chain_of(by_reinforce),
                chain_of(stopped_state),
                chain_of(of_several),
                from_a_sequence,
            )
        ),
    ],
)
def test_a_sample_that_comes_back_gets_no_credit(loss):
    """It left through aux, and the loss depends on it once more."""
    report = jd.gradient_path(loss, PARAMS, KEY)
    found = leaf(loss, "logits", KEY)
    assert found.has_path
    assert found.cuts == ("a sample that left an estimator through aux",)
    text = str(report)
    assert "params['logits']: partial. The loss depends on it also through a sa" in text
    assert "gets no credit for what it causes afterwards" in text
    assert "a jaxdiscrete.sequential (one per step of a scan) or a" in text


def independent(params, key):
    """The sample is carried on, and costs nothing more."""

    def body(last, row):
        x, key = row
        value, z = jd.reinforce(lambda z: (3.0 * z, z), has_aux=True)(
            key, jd.Bernoulli(x)
        )
        return z, value

    rows = (params["logits"], jax.random.split(key, 3))
    return jax.lax.scan(body, 0.0, rows)[1].sum()


def baseline_of_another(params, key):
    """What another example cost is a baseline, and no part of the value."""
    keys = jax.random.split(key)
    cost = lambda z: (f(z), f(z))  # noqa: E731
    value, other = jd.reinforce(cost, has_aux=True)(keys[0], q_of(params))
    level = jax.lax.stop_gradient(other)
    return value + jd.reinforce(f, baseline=level)(keys[1], q_of(params))


def in_sequence(params, key):
    def policy(h, x):
        return jd.Bernoulli(x + h), ()

    estimate = jd.sequential(jd.reinforce, policy, lambda h, z, x: (z, z * (1.0 + h)))
    return estimate(key, 0.0, params["logits"])


def in_a_program(params, key):
    def model(sample, cost):
        first = sample(jd.reinforce, q_of(params))
        second = sample(jd.reinforce, jd.Bernoulli(params["logits"] + first))
        cost(f(first + second))

    return jd.program(model)(key)


def relaxed_chain(key, q, previous):
    cost = lambda z: (z * (1.0 + previous), z)  # noqa: E731
    return jd.gumbel_softmax(cost, temperature=0.5, has_aux=True)(key, q)


@pytest.mark.parametrize(
    "loss",
    [
        independent,
        baseline_of_another,
        in_sequence,
        in_a_program,
        chain_of(relaxed_chain),
    ],
)
def test_what_is_credited_or_comes_back_as_no_part_of_the_value(loss):
    assert leaf(loss, "logits", KEY).ok


def quantiser(params):
    """Straight through to the encoder, and a codebook that is trained."""
    stop = jax.lax.stop_gradient
    encoded = params["encoder"]
    distances = jnp.sum((encoded[None] - params["codebook"]) ** 2, axis=-1)
    code = params["codebook"][jnp.argmin(distances)]
    passed = encoded + stop(code - encoded)
    return jnp.sum(passed**2) + jnp.sum((stop(encoded) - code) ** 2)


def quantiser_without_codebook(params):
    stop = jax.lax.stop_gradient
    encoded = params["encoder"]
    distances = jnp.sum((encoded[None] - params["codebook"]) ** 2, axis=-1)
    code = params["codebook"][jnp.argmin(distances)]
    return jnp.sum((encoded + stop(code - encoded)) ** 2)


def test_a_quantiser_is_reached_and_an_untrained_codebook_is_found():
    params = {"encoder": jnp.ones(2), "codebook": jnp.eye(2)}
    assert jd.gradient_path(quantiser, params).ok
    codebook, encoder = jd.gradient_path(quantiser_without_codebook, params).leaves
    assert encoder.ok
    assert not codebook.has_path


@pytest.mark.parametrize(
    "q", [jd.Bernoulli(jnp.zeros(3)), jd.OneHotCategorical(jnp.zeros((2, 3)))]
)
def test_a_surrogate_of_the_score_function_is_reached(q):
    """With the sample stopped or not, as long as the reward is."""

    def surrogate(q, stop):
        z = stop(q.sample(KEY))
        return jnp.sum(q.log_prob(z)) * jax.lax.stop_gradient(jnp.sum(z))

    assert jd.gradient_path(lambda q: surrogate(q, lambda z: z), q).ok
    assert jd.gradient_path(lambda q: surrogate(q, jax.lax.stop_gradient), q).ok
