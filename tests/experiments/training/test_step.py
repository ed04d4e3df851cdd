"""Batches, pixels, the training step and what is measured along it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.settings import (
    Config,
    Evaluation,
    Optimizer,
    Training,
)
from jaxdiscrete.experiments.training.state import (
    VARIANCE_DECAY,
    Moments,
    check_finite,
    init_moments,
    log_variance,
    update_moments,
)
from tests.experiments.helpers import init, layered_task, with_seed
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

PIXELS = 8
ROWS = np.random.default_rng(0).integers(0, 2, (15, PIXELS)).astype(np.uint8)
BINARY = Dataset(ROWS[:11], ROWS[11:13], ROWS[13:], (2, 4), False, *3 * (None,), "b")
GREYS = np.array([0, 255, 128, 1, 254, 77, 200, 30], np.uint8)
GREY = BINARY._replace(train=np.tile(GREYS, (11, 1)), is_grey=True)


def make(name="reinforce", dataset=BINARY, *, model=None, training=None, **tables):
    estimator = tables.pop("estimator", {})
    config = Config(
        model=Generative(**{"num_latents": (3,)} | (model or {})),
        training=Training(
            **{"num_steps": 8, "batch_size": 2, "steps_per_block": 4} | (training or {})
        ),
        estimator=ESTIMATORS[name](**estimator),
        **tables,
    )
    check(config)
    return layered_task(config, dataset)


def take_steps(task, state, chosen):
    """The state after steps on some rows of the training set, compiled."""
    data = task.data()

    @jax.jit
    def run(state):
        return jax.lax.scan(lambda s, c: step.step(task, s, c, data), state, chosen)

    return run(state)


def step_keys(task, count):
    """The keys of pixels and estimator at a step."""
    streams = (stream(task.config.seed, s) for s in (Stream.PIXELS, Stream.STEP))
    return [jax.random.fold_in(key, count) for key in streams]


# Batches


def order(steps, block, seed=0):
    """The rows of ``steps`` steps, drawn block by block."""
    task = make(training={"num_steps": block, "steps_per_block": block}, seed=seed)
    data = task.data()
    draw = jax.jit(lambda first: task.batches(first, block, data))
    blocks = [draw(jnp.asarray(s)) for s in range(0, steps, block)]
    return np.concatenate(blocks)


def test_every_epoch_is_a_permutation_of_its_own():
    """Five full batches of two in eleven rows; the odd one out is another each time."""
    rows = order(60, 60)
    assert rows.shape == (60, 2)
    epochs = rows.reshape(12, 10)
    for epoch in epochs:
        assert len(set(epoch)) == 10
        assert set(epoch) <= set(range(11))
    left_out = {next(iter(set(range(11)) - set(epoch))) for epoch in epochs}
    assert len(left_out) > 3
    assert len({tuple(epoch) for epoch in epochs}) == 12


@pytest.mark.parametrize("block", [1, 3, 4, 5, 12, 20])
def test_blocks_continue_the_order_of_one_long_block(block):
    np.testing.assert_array_equal(order(60, block), order(60, 60))


def test_seeds_have_orders_of_their_own_also_when_mapped():
    task = make()
    data = task.data()

    def draw(seed, first):
        seeded = layered_task(with_seed(task.config, seed), BINARY)
        return seeded.batches(first, 7, data)

    # Second block: its steps 7 to 13 begin within an epoch.
    mapped = jax.jit(jax.vmap(draw, (0, None)))(jnp.arange(3), jnp.asarray(7))
    for seed in range(3):
        np.testing.assert_array_equal(mapped[seed], order(14, 7, seed)[7:])
    assert not np.array_equal(mapped[0], mapped[1])


# Pixels


def test_binary_pixels_pass_through():
    got = make().pixels(jax.random.key(0), jnp.asarray(BINARY.train))
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, BINARY.train)


def test_grey_pixels_are_ones_with_their_intensity():
    task = make(dataset=GREY)
    num = 400_000
    rows = jnp.broadcast_to(jnp.asarray(GREYS), (num, PIXELS))
    got = np.asarray(task.pixels(jax.random.key(0), rows))
    assert set(np.unique(got)) == {0.0, 1.0}
    assert np.all(got[:, GREYS == 0] == 0.0)
    assert np.all(got[:, GREYS == 255] == 1.0)
    p = GREYS / 255.0
    inside = (p > 0) & (p < 1)
    error = np.sqrt(p * (1 - p) / num)
    # The fraction that lacks, 1 / 2^16, is far below it.
    assert np.all(4.5 * error[inside] < 0.1 * np.minimum(p, 1 - p)[inside] + 1e-3)
    assert np.all(np.abs(got.mean(axis=0) - p)[inside] < 4.5 * error[inside])
    correlation = np.corrcoef(got[:, inside].T) - np.eye(inside.sum())
    assert np.all(np.abs(correlation) < 4.5 / np.sqrt(num))


def test_grey_pixels_are_redrawn_at_every_step():
    """The gradient of the same rows changes with the pixel key of the step alone."""
    task = make(dataset=GREY)
    rows = jnp.asarray(GREY.train)
    draws = [np.asarray(task.pixels(step_keys(task, i)[0], rows)) for i in range(3)]
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[1], draws[2])
    state = init(task)
    loss = jax.jit(lambda x, key: task.loss(state.params, key, x, state.step))
    for count in (0, 1):
        at = state._replace(step=jnp.asarray(count))
        key_pixels, key = step_keys(task, count)
        expected = loss(task.pixels(key_pixels, rows[:2]), key)
        got = take_steps(task, at, jnp.array([[0, 1]]))[1]["loss"][0]
        assert_close(got, expected)


def test_the_model_is_centred_at_the_mean_intensity():
    np.testing.assert_allclose(
        make(dataset=GREY).network.pixel_mean, GREYS / 255.0, rtol=1e-6
    )
    np.testing.assert_allclose(
        make().network.pixel_mean, BINARY.train.mean(axis=0), rtol=1e-6
    )


# Optimisers


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


@pytest.mark.parametrize("factor", [1.0, 10.0])
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


# The step


def test_initial_models_agree_between_estimators():
    inits = [init(make(n)) for n in ("reinforce", "nvil", "rebar")]
    for other in inits[1:]:
        jax.tree.map(
            np.testing.assert_array_equal,
            inits[0].params["model"],
            other.params["model"],
        )


#: One of each kind of settings, and of each way to nest.
DAILY = [
    *((name, 1) for name in ("nvil", "relax_rebar", "muprop", "disarm", "carms")),
    *((name, 1) for name in ("double_cv", "unordered_set", "straight_through")),
    *((name, 2) for name in ("gumbel_softmax", "rebar", "vimco")),
]


@pytest.mark.parametrize(
    ("name", "depth"),
    daily(
        DAILY,
        [
            *((name, 1) for name in sorted(ESTIMATORS)),
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
        if not (is_pair and "prior" in jax.tree_util.keystr(path)):
            assert not np.array_equal(before, after), path


def one_block(task):
    data = task.data()
    return jax.jit(lambda state: step.block(task, state, data))(init(task))


def test_a_block_is_its_steps_and_evaluates_without_the_estimators_randomness():
    task = make("rebar")
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


def test_final_standard_errors_are_over_examples():
    task = make(evaluation=Evaluation(num_samples=5))
    state, _ = take_steps(task, init(task), jnp.array([[0, 1]]))
    rows = BINARY.train
    final = jax.jit(task.final_bounds)(state, {"test": rows})
    key = jax.random.split(stream(0, Stream.FINAL), 1)[0]
    bounds = jax.jit(lambda: task.bounds(state, key, rows, 5))()
    for name, values in bounds._asdict().items():
        values = np.asarray(values)
        assert_close(final[f"test_{name}"], values.mean())
        assert_close(
            final[f"test_{name}_se"], values.std(ddof=1) / np.sqrt(len(values)), 1e-4
        )


# Diagnostics


def test_log_variance_of_a_known_history():
    """The bias-corrected moments of a history, entry by entry, in float64."""
    rng = np.random.default_rng(0)
    history = {"a": rng.normal(1.0, 2.0, (50, 2, 3)), "b": rng.normal(0, 0.1, (50, 4))}
    weights = (1 - VARIANCE_DECAY) * VARIANCE_DECAY ** np.arange(49, -1, -1)
    weights /= 1 - VARIANCE_DECAY**50
    entries = np.concatenate([h.reshape(50, -1) for h in history.values()], axis=1)
    mean = weights @ entries
    variance = (weights @ entries**2 - mean**2).mean()

    def step(moments, gradient):
        return update_moments(moments, gradient), None

    first = init_moments({"a": jnp.zeros((2, 3)), "b": jnp.zeros(4)})
    moments, _ = jax.lax.scan(step, first, jax.tree.map(jnp.float32, history))
    got = log_variance(moments, jnp.asarray(50))
    assert float(got) == pytest.approx(np.log(variance), rel=1e-3)
    of_a = log_variance(
        Moments(moments.mean["a"], moments.square["a"]), jnp.asarray(50)
    )
    assert float(of_a) > float(got)


def test_log_variance_of_one_gradient_is_finite():
    moments = update_moments(init_moments(jnp.zeros(3)), jnp.arange(3.0))
    assert np.isfinite(log_variance(moments, jnp.asarray(1)))


def test_the_encoders_variance_is_measured_apart():
    state, _, metrics = one_block(make())
    encoder = Moments(*(m["encoder"] for m in state.moments))
    assert_close(metrics["log_variance"], log_variance(state.moments, state.step))
    assert_close(metrics["encoder_log_variance"], log_variance(encoder, state.step))
    assert metrics["log_variance"] != metrics["encoder_log_variance"]


def test_the_first_value_that_is_not_finite_is_named():
    fine, bad = jnp.zeros(3), jnp.array([0.0, jnp.inf, jnp.nan])
    check_finite(10, {"loss": fine}, "")
    message = r"got model gradient = inf at step 11\. Do this\."
    with pytest.raises(RunError, match=message):
        check_finite(
            10, {"loss": fine.at[2].set(jnp.nan), "model gradient": bad}, "Do this."
        )
    with pytest.raises(RunError, match=r"got train_elbo = nan at step 30"):
        check_finite(30, {"train_elbo": jnp.asarray(jnp.nan)}, "")


# What is refused


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


def test_a_batch_may_be_the_whole_training_set():
    task = make(training={"batch_size": 11, "num_steps": 4})
    drawn = task.batches(jnp.asarray(0), 4, task.data())
    assert drawn.shape == (4, 11)
    for batch in np.asarray(drawn):
        assert sorted(batch) == list(range(11))
