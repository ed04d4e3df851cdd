"""The training step of every estimator, and a block of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.state import check_finite
from tests.experiments.helpers import init
from tests.experiments.training.problems import (
    BINARY,
    make,
    one_block,
    take_steps,
)
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close


def test_initial_models_agree_between_estimators():
    inits = [init(make(n)) for n in ("reinforce", "nvil", "rebar")]
    for other in inits[1:]:
        jax.tree.map(
            np.testing.assert_array_equal,
            inits[0].params["model"],
            other.params["model"],
        )


#: A baseline, a critic, classes, and each way to nest.
DAILY = [
    *((name, 1) for name in ("nvil", "relax_rebar")),
    ("gumbel_softmax", 2),
]


@pytest.mark.parametrize(
    ("name", "depth"),
    daily(
        DAILY,
        [
            *((n, 1) for n in sorted(ESTIMATORS) if not ESTIMATORS[n].is_of_gaussian),
            ("gumbel_softmax", 2),
            ("reinforce_loo", 2),
            ("rebar", 2),
            ("relax_rebar", 2),
            ("vimco", 2),
        ],
    ),
)
def test_every_estimator_takes_two_steps(name, depth):
    """Both move the model, and everything that a control variate has is trained."""
    classes = 3 if name in ("carms", "arsm", "disarm_stick_breaking") else 2
    model = {"num_latents": (3, 2)[:depth], "num_classes": classes}
    task = make(name, model=model)
    first = init(task)
    state, checked = take_steps(task, first, jnp.arange(4).reshape(2, 2))
    assert int(state.step) == 2
    check_finite(0, checked, "")
    paths = jax.tree_util.tree_leaves_with_path(first.params)
    for (path, before), after in zip(paths, jax.tree.leaves(state.params), strict=True):
        # The mean of an antithetic pair is that of a uniform prior: no gradient.
        is_pair = name in ("arm", "disarm", "arms", "local_disarm")
        is_left = name == "untrained" and "encoder" in jax.tree_util.keystr(path)
        if not is_left and not (is_pair and "prior" in jax.tree_util.keystr(path)):
            assert not np.array_equal(before, after), path


def test_a_block_is_its_steps_and_evaluates_without_the_estimators_randomness():
    task = make("nvil")
    state, checked, metrics = one_block(task)
    chosen = task.batches(jnp.asarray(0), 4, task.data())
    other, by_step = take_steps(task, init(task), chosen)
    assert_close(state.params, other.params)
    assert_close(checked, by_step)
    assert set(metrics) == {
        "train_elbo",
        "valid_elbo",
        "log_variance",
        "encoder_log_variance",
    }
    assert checked["loss"].shape == (4,)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gumbel_softmax", "temperature"),
        ("straight_through_gumbel_softmax", "temperature"),
        ("straight_through", "slope"),
    ],
)
def test_schedules_reach_the_estimator(name, key):
    """At every step the gradient is that of the schedule's value there."""
    x = jnp.asarray(BINARY.train[:2], jnp.float32)
    moving = Schedule(
        "linear_schedule", {"init_value": 2.0, "end_value": 0.5, "transition_steps": 10}
    )

    def gradient(value, count):
        task = make(name, estimator={key: value})
        params = step.init(task).params
        grad = jax.grad(task.loss)(params, jax.random.key(1), x, jnp.asarray(count))
        return grad["model"]

    at = {s: jax.jit(lambda s=s: gradient(moving, s))() for s in (0, 5, 99)}
    for count, value in [(0, 2.0), (5, 1.25), (99, 0.5)]:
        expected = jax.jit(lambda v=value: gradient(constant(v), 0))()
        assert_close(at[count], expected, rtol=1e-4)
    differ = jax.tree.map(lambda a, b: np.abs(a - b).max(), at[0], at[5])
    assert max(jax.tree.leaves(differ)) > 1e-3


@pytest.mark.parametrize(
    ("name", "model", "training", "message"),
    [
        ("reinforce", {}, {"batch_size": 12}, "training.batch_size <= 11.*got 12"),
        ("reinforce", {"num_samples": 2}, {}, "num_samples = 1 .*got 2 with reinforce"),
        ("disarm", {"num_classes": 3}, {}, "num_classes = 2 with disarm.* got 3"),
        ("local_disarm", {"num_latents": (3, 2)}, {}, r"local_disarm.* got \[3, 2\]"),
        ("vimco", {"divergence": "analytic"}, {}, "'sampled' with vimco.* 'analytic'"),
        ("rebar", {"divergence": "concrete"}, {}, "gumbel_softmax.*got 'rebar'"),
        (
            "straight_through_gumbel_softmax",
            {"divergence": "concrete"},
            {},
            "gumbel_softmax.*got 'straight_through_gumbel_softmax'",
        ),
        (
            "gumbel_softmax",
            {"divergence": "analytic", "num_samples": 2},
            {},
            "divergence.*'analytic'",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(name, model, training, message):
    with pytest.raises(UsageError, match=message):
        make(name, model=model, training=training)
