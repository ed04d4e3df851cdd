"""A Gaussian of a classifier's weights, whose expected cost is an integral per row."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.grid import PROBLEMS
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.logistic_regression.settings import (
    ALLOWED,
    NUM_ROWS,
    Settings,
)
from jaxdiscrete.experiments.tasks.logistic_regression.task import (
    Rows,
    cost,
    divergence,
    gaussian,
)
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.tasks.toy.settings import Settings as Toy
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import (
    Config,
    Evaluation,
    Optimizer,
    Training,
)
from jaxdiscrete.experiments.training.task import at_config
from tests.experiments.helpers import init
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_gradient_unbiased, assert_unbiased
from tests.helpers.trees import flat

SETTINGS = {
    "reinforce": {"num_repeats": 30},
    "reinforce_loo": {"num_samples": 30},
    "nvil": {"input_baseline": False, "normalize": False, "num_repeats": 30},
    "delta_method": {"num_repeats": 30, "num_pilots": 10},
    "measure_valued_gaussian": {"num_repeats": 10},
    "pathwise": {},
}
KINDS = {name: (name, settings) for name, settings in SETTINGS.items()} | {
    "measure_valued_uncoupled": (
        "measure_valued_gaussian",
        {"is_coupled": False, "num_repeats": 10},
    )
}
#: Three weights and two rows, whose every derivative is far from zero.
ROWS = Rows(
    jnp.array([[-1.0, 0.7, -1.0], [-0.7, 1.0, -0.8]]),
    jnp.array([1.0, 1.0]),
)
WEIGHTS = {
    "mean": jnp.array([0.4, -0.3, 0.2]),
    "log_scale": jnp.array([0.2, 0.1, 0.2]),
}


def config(name="reinforce", settings=None, training=None, **model):
    settings = SETTINGS[name] if settings is None else settings
    return Config(
        model=Settings(**({"num_gradients": 20} | model)),
        optimizer=Optimizer(name="sgd", learning_rate=constant(1e-4), momentum=0.0),
        training=training or Training(num_steps=4, batch_size=32, steps_per_block=2),
        estimator=ESTIMATORS[name](**settings),
    )


def exact_loss(weights):
    """The expected cost by Gauss and Hermite's quadrature: x w is normal per row."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(60)
    shares = shares / shares.sum()
    mean = ROWS.x @ weights["mean"]
    scale = jnp.sqrt(jnp.square(ROWS.x) @ jnp.exp(2.0 * weights["log_scale"]))
    logits = mean[:, None] + scale[:, None] * nodes[None]
    each = jax.nn.softplus(-ROWS.sign[:, None] * logits) @ shares
    return NUM_ROWS * each.mean() + divergence(weights)


@pytest.mark.parametrize("kind", daily(["pathwise"], KINDS))
def test_gradients_are_those_of_the_integral(kind):
    name, settings = KINDS[kind]
    task = make_task(config(name, settings))

    control_variate = {"centre": jnp.asarray(300.0)} if name == "nvil" else {}

    def loss(key, weights):
        params = {"model": weights, "control_variate": {"layer_0": control_variate}}
        return task.loss(params, key, ROWS, jnp.asarray(0))

    value, expected = jax.jit(jax.value_and_grad(exact_loss))(WEIGHTS)
    assert_gradient_unbiased(loss, WEIGHTS, expected=flat(expected))
    if name == "delta_method":
        keys = jax.random.split(jax.random.key(0), 20_000)
        values = jax.jit(jax.vmap(lambda key: loss(key, WEIGHTS)))(keys)
        assert_unbiased(values[:, None], np.array([value]))


def test_the_rows_are_those_of_the_set_and_a_batch_has_none_twice():
    task = make_task(config())
    data = task.data()
    np.testing.assert_allclose(data.x[:, :-1].mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(data.x[:, :-1].std(0), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(data.x[:, -1], 1.0)
    assert [int((data.sign == s).sum()) for s in (-1, 1)] == [212, 357]
    batch = jax.jit(task.batch)(jax.random.key(0), jnp.zeros(0), data)
    assert len({row.tobytes() for row in np.asarray(batch.x)}) == 32
    every = {
        row.tobytes(): s for row, s in zip(np.asarray(data.x), data.sign, strict=True)
    }
    assert [every[row.tobytes()] for row in np.asarray(batch.x)] == batch.sign.tolist()
    # The cost of a batch stands for that of all rows.
    zero = jnp.zeros(31)
    assert float(cost(zero, batch)) == pytest.approx(NUM_ROWS * np.log(2.0))


def test_a_block_ends_with_the_bound_and_variances_of_fresh_gradients():
    settings = {"num_repeats": 5}
    task = make_task(config("pathwise", settings))
    task = at_config(
        task,
        dataclasses.replace(task.config, evaluation=Evaluation(num_samples=20_000)),
    )
    state, data = init(task), task.data()
    state, _, metrics = jax.jit(lambda state: step.block(task, state, data))(state)
    assert int(state.step) == 2
    weights = state.params["model"]
    costs = jax.jit(jax.vmap(lambda key: cost(gaussian(weights).sample(key), data)))(
        jax.random.split(jax.random.key(5), 20_000)
    )
    error = 4.5 * np.sqrt(2.0 / 20_000) * float(costs.std())
    expected = -costs.mean() - divergence(weights)
    assert abs(metrics["train_elbo"] - expected) < error < -0.05 * expected
    # Of five repeats the variance is the fifth part, for all parts alike.
    once = make_task(config("pathwise", {}))
    of_one = jax.jit(once.log_variances)(state)
    parts = ("mean_log_variance", "log_scale_log_variance")
    for name in ("log_variance", *parts):
        assert abs(metrics[name] - of_one[name] + np.log(5.0)) < 1e-4
    mean = np.mean([np.exp(metrics[name]) for name in parts])
    assert abs(metrics["log_variance"] - np.log(mean)) < 1e-4
    rows = [{name: float(v) for name, v in metrics.items()}]
    assert task.final_metrics(state, rows) == rows[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"training": Training(num_steps=4, batch_size=570, steps_per_block=2)},
            r"training\.batch_size <= 569, .*got 570",
        ),
        ({"name": "nvil", "settings": {}}, "no baseline of the inputs.*in nvil"),
        ({"num_gradients": 1}, r"model\.num_gradients >= 2, got 1"),
    ],
)
def test_settings_that_cannot_be_used(changed, message):
    with pytest.raises(UsageError, match=message):
        check(config(**changed))


@pytest.mark.parametrize(
    "name", daily(["rebar"], sorted(set(ESTIMATORS) - set(ALLOWED)))
)
def test_estimators_that_a_gaussian_cannot_have(name):
    message = rf"where q is a Gaussian, got {name}\. Choose one of them"
    with pytest.raises(UsageError, match=message):
        check(config(name, settings={}))


def test_estimators_of_gaussians_are_refused_where_q_is_discrete():
    own = {name for name, kind in ESTIMATORS.items() if kind.is_of_gaussian}
    assert own == {"delta_method", "measure_valued_gaussian", "pathwise"}
    for name in own:
        discrete = dataclasses.replace(
            config("reinforce"), model=Toy(), estimator=ESTIMATORS[name]()
        )
        message = f"discrete variables with model.task = 'toy', got {name}, which"
        with pytest.raises(UsageError, match=message):
            check(discrete)
        for problem, grid in PROBLEMS.items():
            message = f"grid.problem = '{problem}', got {name}, which"
            with pytest.raises(UsageError, match=message):
                grid().check({"it": ESTIMATORS[name]()})
