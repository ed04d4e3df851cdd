"""The data, the model and the training step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.experiments.data import load_digits
from jaxdiscrete.experiments.diagnostics import (
    TrainState,
    check_finite,
    log_variance,
)
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators import ESTIMATORS
from jaxdiscrete.experiments.models import DiscreteVAE, evaluate
from jaxdiscrete.experiments.settings import (
    Config,
    Data,
    Model,
    Schedule,
    Training,
)
from jaxdiscrete.experiments.training import Experiment

DIGITS = load_digits(Data())


def experiment(name="reinforce", **estimator):
    return Experiment(
        Config(
            model=Model(num_latents=3),
            training=Training(num_epochs=1, batch_size=4, epochs_per_block=1),
            estimator=ESTIMATORS[name].settings(name, **estimator),
        ),
        DIGITS,
    )


def test_digits_are_binary_disjoint_and_shuffled():
    assert DIGITS.train.shape == (1500, 64)
    assert DIGITS.test.shape == (297, 64)
    assert DIGITS.train.dtype == np.float32
    assert set(np.unique(DIGITS.train)) == {0.0, 1.0}
    again, other = load_digits(Data()), load_digits(Data(split_seed=1))
    np.testing.assert_array_equal(again.test, DIGITS.test)
    assert not np.array_equal(other.test, DIGITS.test)
    everything = [np.concatenate(part) for part in (DIGITS, other)]
    ordered = [rows[np.lexsort(rows.T)] for rows in everything]
    np.testing.assert_array_equal(*ordered)


def test_a_test_set_of_everything_is_refused():
    with pytest.raises(UsageError, match=r"data.num_test < 1797.*got 1797"):
        load_digits(Data(num_test=1797))


def test_a_batch_larger_than_the_training_set_is_refused():
    config = Config(training=Training(batch_size=1501))
    with pytest.raises(UsageError, match=r"training.batch_size <= 1500.*got 1501"):
        Experiment(config, DIGITS)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_bounds_agree_with_enumeration(hidden):
    """ELBO and bound near their exact values; pixel means explained at first."""
    model = DiscreteVAE(Model(3, hidden), DIGITS.train.mean(axis=0))
    params = jax.jit(model.init)(jax.random.key(0))
    bias = params["decoder"]["output"]["bias"]
    expected = np.clip(DIGITS.train.mean(axis=0), 0.01, 0.99)
    np.testing.assert_allclose(jax.nn.sigmoid(bias), expected, rtol=1e-5)
    x, key = jnp.asarray(DIGITS.test[:5]), jax.random.key(1)
    q = jd.Bernoulli(model.posterior_logits(params, x))
    prior = jd.Bernoulli(params["prior"])
    states = prior.enumerate_support()

    def exact(x, logits):
        cost = jax.vmap(lambda z: model.reconstruction_cost(params, z, x))(states)
        log_p = jax.vmap(prior.log_prob)(states).sum(axis=1)
        log_q = jax.vmap(jd.Bernoulli(logits).log_prob)(states).sum(axis=1)
        elbo = jnp.sum(jnp.exp(log_q) * (log_p - cost - log_q))
        return elbo, jax.nn.logsumexp(log_p - cost)

    elbo, likelihood = (v.mean() for v in jax.jit(jax.vmap(exact))(x, q.logits))
    got = jax.jit(lambda: evaluate(model, params, key, x, 4000))()
    got_elbo, got_bound = (v.mean() for v in got)
    assert got_elbo == pytest.approx(float(elbo), abs=0.1)
    assert got_bound == pytest.approx(float(likelihood), abs=0.1)
    assert elbo < likelihood


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_takes_two_steps(name):
    """Both move the model, and everything that a control variate has is trained."""
    e = experiment(name)

    @jax.jit
    def two_steps(x):
        first = e.init()
        return first, *jax.lax.scan(e.step, first, x)

    first, state, checked = two_steps(jnp.asarray(DIGITS.train[:8]).reshape(2, 4, 64))
    assert int(state.step) == 2
    check_finite(0, checked)
    paths = jax.tree_util.tree_leaves_with_path(first.params)
    for (path, before), after in zip(paths, jax.tree.leaves(state.params), strict=True):
        assert not np.array_equal(before, after), path


def test_initial_models_agree_between_estimators():
    inits = [jax.jit(experiment(name).init) for name in ("nvil", "rebar")]
    models = [init().params["model"] for init in inits]
    jax.tree.map(np.testing.assert_array_equal, *models)


def test_learning_rates_stay_apart():
    """A rate of zero for one group leaves it alone, whatever the other does."""
    e = experiment("nvil")
    rates = dataclasses.replace(
        e.config.optimizer, control_variate_learning_rate=0.0, moving_average_rate=0.25
    )
    e = Experiment(dataclasses.replace(e.config, optimizer=rates), DIGITS)
    first = jax.jit(e.init)()
    x = jnp.asarray(DIGITS.train[:4])
    state, _ = jax.jit(e.step)(first, x)
    before, after = (s.params["control_variate"] for s in (first, state))
    jax.tree.map(np.testing.assert_array_equal, before["baseline"], after["baseline"])
    assert after["centre"] > 0.0
    moved = state.params["model"]["prior"] - first.params["model"]["prior"]
    assert np.abs(moved).max() > 0.0


def test_the_loss_is_the_negative_elbo():
    e = experiment()
    state = jax.jit(e.init)()
    x = jnp.asarray(DIGITS.train[:200])
    losses = jax.jit(jax.vmap(lambda key: e.loss(state.params, key, x, state.step)))(
        jax.random.split(jax.random.key(0), 200)
    )
    elbo, _ = evaluate(e.model, state.params["model"], jax.random.key(1), x, 200)
    assert losses.mean() == pytest.approx(-float(elbo.mean()), abs=0.05)


def test_a_scheduled_temperature_reaches_the_estimator():
    entry = ESTIMATORS["gumbel_softmax"]
    q, key = jd.Bernoulli(jnp.zeros(2)), jax.random.key(0)

    def value(schedule, step):
        settings = entry.settings("gumbel_softmax", schedule)
        estimate = entry.build(lambda z: z.sum() ** 2, {}, settings, jnp.asarray(step))
        return float(estimate(key, q))

    moving = Schedule(2.0, 0.5, 10)
    for step, temperature in [(0, 2.0), (5, 1.0), (10, 0.5), (99, 0.5)]:
        constant = Schedule(temperature, temperature)
        assert value(moving, step) == pytest.approx(value(constant, step), rel=1e-5)


def test_log_variance_of_a_known_history():
    """Gradients that alternate between two values have a known variance."""
    mean, square = 0.0, 0.0
    steps = 4000
    for i in range(steps):
        g = 3.0 if i % 2 else -1.0
        mean, square = 0.999 * mean + 0.001 * g, 0.999 * square + 0.001 * g * g
    state = TrainState(
        jnp.asarray(steps),
        None,
        None,
        {"a": jnp.full((2, 2), mean), "b": jnp.zeros(4)},
        {"a": jnp.full((2, 2), square), "b": jnp.zeros(4)},
    )
    assert log_variance(state) == pytest.approx(np.log(4.0 / 2), abs=0.01)


def test_the_first_value_that_is_not_finite_is_named():
    fine, bad = jnp.zeros(3), jnp.array([0.0, jnp.inf, jnp.nan])
    check_finite(10, {"loss": fine})
    message = "got model gradient = inf at step 11.*learning_rate"
    with pytest.raises(RunError, match=message):
        check_finite(10, {"loss": fine.at[2].set(jnp.nan), "model gradient": bad})
    with pytest.raises(RunError, match="got train_elbo = nan at step 30"):
        check_finite(30, {"train_elbo": jnp.asarray(jnp.nan)})
