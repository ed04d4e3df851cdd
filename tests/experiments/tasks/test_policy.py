"""A policy whose short episodes can all be counted."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.tasks.policy import cartpole
from jaxdiscrete.experiments.tasks.policy.settings import Settings
from jaxdiscrete.experiments.tasks.policy.task import discounted_to_go
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import Config, Training
from tests.experiments.helpers import init
from tests.helpers.parameters import daily
from tests.helpers.trees import flat, flat_rows

DISCOUNT, BONUS, LENGTH = 0.8, 0.3, 3
#: Falling: with a first push to the left it is down after two decisions.
START = jnp.array([0.0, 0.0, 0.19, 0.5])
NETS = {
    "reinforce": {},
    "nvil": {
        "baseline_hidden": (3,),
        "baseline_activation": "relu",
        "baseline_init": "orthogonal",
        "centre": False,
        "normalize": False,
    },
    "relax": {
        "critic_hidden": (3,),
        "critic_activation": "relu",
        "critic_init": "orthogonal",
        "critic_is_scaled": True,
        "temperature": 1.0,
    },
}


def config(name="reinforce", training=None, settings=None, **model):
    return Config(
        model=Settings(**({"hidden": (2,)} | model)),
        training=training or Training(num_steps=20, batch_size=1, steps_per_block=10),
        estimator=ESTIMATORS[name](**(NETS[name] if settings is None else settings)),
    )


def short(name):
    """Episodes of three decisions of a linear policy, which has no dead units."""
    task = make_task(
        config(
            name,
            hidden=(),
            max_decisions=LENGTH,
            discount=DISCOUNT,
            entropy_bonus=BONUS,
        )
    )
    return task, init(task).params


def by_hand(task, params):
    """From actions to the length of an episode, its gradient, and its probability."""
    control_variate, baseline = params["control_variate"]["layer_0"], lambda state: 0.0
    if control_variate:
        baseline = task.config.estimator.baseline(control_variate)
    move, is_up = jax.jit(cartpole.move), jax.jit(cartpole.is_up)

    def surrogate(weights, states, actions):
        total, log_prob = jnp.zeros(()), jnp.zeros(())
        for t, (state, z) in enumerate(zip(states, actions, strict=True)):
            q = task.policy(weights, state)
            credit = -sum(DISCOUNT**s for s in range(len(states) - t))
            total += q.log_prob(z) * (credit - baseline(state)) - BONUS * q.entropy()
            log_prob += q.log_prob(z)
        return total, log_prob

    differentiated = jax.jit(jax.grad(surrogate, has_aux=True))

    def episode(actions):
        states = [START]
        for action in actions[: LENGTH - 1]:
            if not is_up(states[-1]):
                break
            states.append(move(states[-1], action == 1))
        states = [state for state in states if is_up(state)]
        actions = np.eye(2, dtype=np.float32)[list(actions[: len(states)])]
        gradient, log_prob = differentiated(params["model"], states, list(actions))
        return len(states), flat(gradient), np.exp(log_prob)

    return episode


@pytest.mark.parametrize("name", daily(["nvil"], ["reinforce", "nvil"]))
def test_gradients_are_those_of_the_episodes_by_hand(name):
    """Six episodes are possible; each occurs as often as it should."""
    task, params = short(name)
    every = itertools.product((0, 1), repeat=LENGTH)
    found = list(map(by_hand(task, params), every))
    # After a fall there is no third action.
    distinct = {np.asarray(g).round(4).tobytes(): (n, g, p) for n, g, p in found}
    lengths, expected, chances = zip(*distinct.values(), strict=True)
    assert sorted(lengths) == [2, 2, 3, 3, 3, 3]
    assert sum(chances) == pytest.approx(1.0, abs=1e-5)

    @jax.jit
    @jax.vmap
    def sample(key):
        loss = jax.value_and_grad(task.loss)
        return loss(params, key, START[None], jnp.zeros((), jnp.int32))

    num = 2_000
    values, gradients = sample(jax.random.split(jax.random.key(0), num))
    rows = flat_rows(gradients["model"])
    distances = np.abs(rows[:, None] - np.stack(expected)).max(axis=2)
    nearest = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-5
    np.testing.assert_array_equal(-values, np.array(lengths)[nearest])
    for i, chance in enumerate(chances):
        error = np.sqrt(chance * (1 - chance) / num)
        assert abs(np.mean(nearest == i) - chance) < 4.5 * error


def test_a_batch_is_that_many_episodes():
    training = Training(num_steps=4, batch_size=5, steps_per_block=2)
    task = make_task(config(training=training, max_decisions=LENGTH))
    params = init(task).params
    key = jax.random.key(1)
    starts = task.batch(key, jnp.zeros(0), None)
    assert starts.shape == (5, 4)
    value = jax.jit(task.loss)(params, key, starts, jnp.asarray(0))
    assert value == -LENGTH


def test_credit_is_discounted_from_the_decision_on():
    credit = discounted_to_go(jnp.array([-1.0, 0.0, -2.0]), 0.5)
    np.testing.assert_allclose(credit, [-1.5, -1.0, -2.0])


@pytest.mark.thorough
def test_estimators_are_measured_on_the_same_episodes():
    """A baseline of zero has the variance of none, to the last bit."""
    found = []
    for name in ("reinforce", "nvil"):
        task, params = short(name)
        state = init(task)._replace(params=params, step=jnp.asarray(1))
        log_variances = jax.jit(task.log_variances)
        found.append(float(log_variances(state)["log_variance"]))
    zeros = jax.tree.map(jnp.zeros_like, params["control_variate"])
    state = state._replace(params=params | {"control_variate": zeros})
    assert float(log_variances(state)["log_variance"]) == found[0] != found[1]


def final(rewards, **model):
    task = make_task(config(solved_window=30, **model))
    return task.final_metrics(None, [{"reward": r} for r in rewards])


def test_solved_is_the_first_window_of_episodes_with_the_reward():
    found = final([10.0, 190.0, 200.0, 195.0, 10.0, 200.0, 200.0, 200.0])
    assert found["episodes"] == 40.0
    assert found["solved"] == 1.0
    assert found["reward"] == 200.0
    assert found["loss"] == -200.0


def test_fewer_episodes_than_the_window_solve_nothing():
    found = final([200.0, 200.0])
    assert found == {"episodes": 20.0, "solved": 0.0, "reward": 200.0, "loss": -200.0}
    assert final([200.0] * 3)["episodes"] == 30.0


def test_a_run_that_never_solves_counts_all_its_episodes():
    found = final([194.0] * 9)
    assert (found["episodes"], found["solved"]) == (90.0, 0.0)


def test_the_reward_of_a_block_is_that_of_its_episodes():
    losses = jnp.array([-10.0, -30.0])
    assert make_task(config()).metrics(None, losses, ()) == {"reward": 20.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.5}, r"model\.discount <= 1, got 1\.5"),
        ({"solved_window": 25}, r"multiple of the 10 episodes of a block.*got 25"),
        ({"hidden": (0,)}, r"model\.hidden >= 1, got 0"),
        ({"max_decisions": 0}, r"model\.max_decisions >= 1, got 0"),
        ({"num_gradients": 1}, r"model\.num_gradients >= 2, got 1"),
    ],
)
def test_settings_that_have_no_meaning(change, message):
    with pytest.raises(UsageError, match=message):
        check(config(**change))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("reinforce_loo", {}),
        ("rebar", {}),
        ("gumbel_softmax", {}),
        ("exact", {}),
        ("vimco", {}),
        ("reinforce", {"num_repeats": 2}),
    ],
)
def test_estimators_that_decisions_cannot_have(name, settings):
    message = f"one hard sample with model.task = 'policy'.*got {name} with"
    with pytest.raises(UsageError, match=message):
        check(config(name, settings=settings))


def test_credit_is_that_of_the_settings():
    message = r"leaves the credit of decisions to model\.discount .*whole_sequence"
    with pytest.raises(UsageError, match=message):
        check(config("reinforce_whole_sequence", settings={}))


@pytest.mark.thorough
def test_what_an_estimator_may_be():
    """All that are let through are taken by the library as well."""
    allowed = {}
    for name, estimator in ESTIMATORS.items():
        tried = dataclasses.replace(config(), estimator=estimator())
        try:
            check(tried)
        except UsageError:
            continue
        allowed[name] = make_task(dataclasses.replace(tried))
    assert set(allowed) == {
        "control_variate",
        "dice",
        "nvil",
        "reinforce",
        "reinforce_constant_baseline",
        "reinforce_running_optimal_baseline",
        "relax",
        "untrained",
    }
    for task in allowed.values():
        params = jax.eval_shape(lambda task=task: step.init(task).params)
        jax.eval_shape(
            jax.grad(task.loss), params, jax.random.key(0), START[None], jnp.asarray(0)
        )
