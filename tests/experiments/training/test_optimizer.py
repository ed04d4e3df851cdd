"""Adam against its formula, and rates of models and of control variates."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.tasks.toy.settings import Settings
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.optimizer import apply_gradients, make_optimizer
from jaxdiscrete.experiments.training.settings import Config, Optimizer
from tests.experiments.helpers import init
from tests.experiments.training.problems import make, step_keys, take_steps
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

GRADIENTS = ([1.0, -2.0], [3.0, 0.5], [-1.0, 0.25])


def by_formula(first_count, epsilon, rate=1e-3, b1=0.9, b2=0.999):
    """Parameters after every gradient, in double precision."""
    x = mean = square = np.zeros(2)
    for t, g in enumerate(np.array(GRADIENTS), first_count + 1):
        mean, square = b1 * mean + (1 - b1) * g, b2 * square + (1 - b2) * g * g
        root = np.sqrt(square / (1 - b2**t))
        x = x - rate * mean / (1 - b1**t) / (root + epsilon)
        yield x


@pytest.mark.parametrize("count", [0, 30_000])
def test_adam_counts_from_where_it_is_told_for_the_model_alone(count):
    settings = Optimizer(epsilon=1e-2, adam_count=count)
    optimizer = make_optimizer(
        Config(model=Settings(), estimator=Reinforce(), optimizer=settings)
    )
    params = {
        "model": jnp.zeros(2),
        "control_variate": {"layer_0": {"b": jnp.zeros(2)}},
    }
    state = optimizer.init(params)
    expected = zip(by_formula(count, 1e-2), by_formula(0, 1e-2), strict=True)
    for g, (of_model, of_cv) in zip(GRADIENTS, expected, strict=True):
        g = jnp.array(g)
        grads = {"model": g, "control_variate": {"layer_0": {"b": g}}}
        params, state = apply_gradients(optimizer, grads, state, params)
        np.testing.assert_allclose(params["model"], of_model, rtol=1e-4)
        cv = params["control_variate"]["layer_0"]["b"]
        np.testing.assert_allclose(cv, of_cv, rtol=1e-4)


def test_a_late_count_makes_the_first_steps_longer():
    """By sqrt(1 - b2) / (1 - b1) less: 0.1 / 0.0316 of the rate where there is none."""
    first, *_ = by_formula(30_000, 0.0)
    np.testing.assert_allclose(np.abs(first), 1e-3 * 0.1 / np.sqrt(0.001), rtol=1e-6)


def one_step(task):
    """State, gradient, and state after a step."""
    data, chosen = task.data(), jnp.arange(2)

    @jax.jit
    def run():
        state = step.init(task)
        key_pixels, key = step_keys(task, 0)
        x = task.batch(key_pixels, chosen, data)
        grads = jax.grad(task.loss)(state.params, key, x, state.step)
        return state, grads, step.step(task, state, chosen, data)[0]

    return run()


@pytest.mark.parametrize("factor", daily([10.0], [1.0, 10.0]))
def test_control_variates_have_their_multiple_of_the_rate_and_averages_their_own(
    factor,
):
    """Plain gradient descent, whose every step is the rate times the gradient."""
    optimizer = Optimizer(
        name="sgd",
        learning_rate=constant(0.02),
        momentum=0.0,
        control_variate_factor=factor,
        moving_average_rate=0.25,
    )
    task = make("nvil", optimizer=optimizer, estimator={"baseline_hidden": (3,)})
    before, grads, after = one_step(task)
    moved = jax.tree.map(lambda a, b: b - a, before.params, after.params)

    def check(moved, grads, rate):
        assert any(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(grads))
        assert_close(moved, jax.tree.map(lambda g: -rate * g, grads), rtol=1e-3)

    check(moved["model"], grads["model"], 0.02)
    moved, grads = (
        moved["control_variate"]["layer_0"],
        grads["control_variate"]["layer_0"],
    )
    check(moved["baseline"], grads["baseline"], 0.02 * factor)
    for name in ("centre", "variance"):
        check(moved[name], grads[name], 0.25)


@pytest.mark.thorough
def test_weight_decay_is_of_the_model_alone():
    plain = Optimizer(name="sgd", momentum=0.0, learning_rate=constant(0.1))
    decayed = dataclasses.replace(plain, weight_decay=0.5)
    (start, _, a), (_, _, b) = (
        one_step(make("muprop", optimizer=o)) for o in (plain, decayed)
    )
    assert_close(a.params["control_variate"], b.params["control_variate"])
    shift = jax.tree.map(lambda x, y: y - x, a.params["model"], b.params["model"])
    assert_close(shift, jax.tree.map(lambda w: -0.05 * w, start.params["model"]))


def test_a_scheduled_rate_reaches_the_optimiser():
    schedule = Schedule(
        "piecewise_constant_schedule",
        {"init_value": 0.5, "boundaries_and_scales": {1: 0.0}},
    )
    optimizer = Optimizer(name="sgd", momentum=0.0, learning_rate=schedule)
    task = make(optimizer=optimizer)
    first, chosen = init(task), jnp.array([[0, 1]])
    second, _ = take_steps(task, first, chosen)
    third, _ = take_steps(task, second, chosen)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), first.params, second.params)
    assert max(jax.tree.leaves(moved)) > 0.0
    jax.tree.map(np.testing.assert_array_equal, second.params, third.params)
