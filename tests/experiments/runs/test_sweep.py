"""Runs that are trained together against the same runs alone."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import SweepRun
from jaxdiscrete.experiments.runs import sweep, train
from jaxdiscrete.experiments.runs.together import at_point
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training
from tests.experiments.helpers import init, layered_task
from tests.helpers.parameters import daily

ROWS = np.random.default_rng(0).integers(0, 2, (30, 6)).astype(np.uint8)
DATASET = Dataset(ROWS[:20], ROWS[20:25], ROWS[25:], (2, 3), False, *3 * (None,), "b")
SILENT = Console(quiet=True)
METRICS = ("loss", "train_elbo", "valid_elbo", "log_variance", "encoder_log_variance")


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch):
    monkeypatch.setattr(train, "make_task", lambda c, *_: layered_task(c, DATASET))


def config(name="rebar", **settings):
    return Config(
        seed=5,
        model=Generative((2,)),
        training=Training(num_steps=6, batch_size=4, steps_per_block=3),
        evaluation=Evaluation(num_examples=10),
        estimator=ESTIMATORS[name](**settings),
    )


def metrics(folder, point):
    lines = (folder / point.name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def alone(point):
    """The rows of a plain run of a point's seed and settings."""
    base = config()
    rate = point.values["optimizer.learning_rate"]
    optimizer = dataclasses.replace(base.optimizer, learning_rate=constant(rate))
    one = dataclasses.replace(base, seed=point.seed, optimizer=optimizer)
    task = layered_task(one, DATASET)
    state, rows, data = init(task), [], task.data()
    block = jax.jit(lambda state: step.block(task, state, data))
    for _ in range(2):
        state, checked, values = block(state)
        loss = {"loss": float(checked["loss"].mean())}
        rows.append(loss | {k: float(v) for k, v in values.items()})
    return rows


@pytest.mark.thorough
def test_runs_together_are_the_runs_alone(tmp_path):
    rates = (0.01, 0.1)
    points = [
        sweep.Point(seed, {"optimizer.learning_rate": r, "estimator.temperature": 0.5})
        for seed, r in zip((5, 6), rates, strict=True)
    ]
    folders = tmp_path / "together", tmp_path / "by_itself"
    together = sweep.run(config(), points, folders[0], SILENT)
    for point, run in zip(points, together, strict=True):
        assert run.run == point.name
        assert run.seed == point.seed
        last = metrics(folders[0], point)[-1]
        assert run.metrics == {key: last[key] for key in METRICS}
    stored = codec.read(folders[0] / "sweep.json", tuple[SweepRun, ...])
    assert list(stored) == together
    assert len({run.metrics["loss"] for run in together}) == 2
    # The second, whose seed and settings are not those of the configuration.
    (by_itself,) = sweep.run(config(), points[1:], folders[1], SILENT)
    assert by_itself.run == points[1].name
    rows = [metrics(folder, points[1]) for folder in folders]
    for r, s, t in zip(*rows, alone(points[1]), strict=True):
        assert r["step"] == s["step"]
        for key in METRICS:
            assert r[key] == pytest.approx(s[key], rel=1e-4)
            assert r[key] == pytest.approx(t[key], rel=1e-4)


def test_memory_decides_how_many_run_together(tmp_path, monkeypatch):
    groups = []

    def count(task, group, folder, screen):
        groups.append(len(group))
        return [SweepRun("", 0, {}, 0, 0.0, {})] * len(group)

    monkeypatch.setattr(sweep, "_train_group", count)
    points = sweep.points(config(), 5, {})
    task = layered_task(config(), DATASET)
    shapes = jax.eval_shape(lambda: step.init(task))
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
    for i, (limit, expected) in enumerate(
        [(1, [1] * 5), (2 * size, [2, 2, 1]), (2 * size - 1, [1] * 5), (9**9, [5])]
    ):
        groups.clear()
        folder = tmp_path / str(i)
        sweep.run(config(), points, folder, SILENT, memory_limit=limit)
        assert groups == expected


def test_points_are_all_combinations():
    grid = {"optimizer.learning_rate": [0.01, 0.1], "estimator.scale": [1.0]}
    assert sweep.points(config(), 2, grid) == [
        sweep.Point(seed, {"optimizer.learning_rate": rate, "estimator.scale": 1.0})
        for rate in (0.01, 0.1)
        for seed in (5, 6)
    ]


def test_names_are_made_of_what_differs():
    assert sweep.Point(3, {}).name == "seed=3"
    point = sweep.Point(3, {"optimizer.learning_rate": 1e-4, "estimator.scale": 2.0})
    assert point.name == "seed=3,optimizer.learning_rate=0.0001,estimator.scale=2"


def test_grids_are_read():
    texts = ("optimizer.learning_rate=1e-4,3e-4", "estimator.scale=0.5")
    assert sweep.parse_grid(config(), texts) == {
        "optimizer.learning_rate": [1e-4, 3e-4],
        "estimator.scale": [0.5],
    }
    assert sweep.parse_grid(config(), ()) == {}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("rebar", "model.num_latents"),
        ("rebar", "estimator.train_temperature"),
        ("rebar", "estimator.relaxation"),
        ("reinforce_loo", "estimator.num_samples"),
        ("rebar", "training.batch_size"),
        ("rebar", "optimizer.momentum"),
        ("reinforce", "estimator.temperature"),
        ("rebar", "seed"),
        ("rebar", ""),
    ],
)
def test_keys_that_cannot_vary(name, key):
    with pytest.raises(UsageError, match=rf"learning_rate.*got '{key}'"):
        sweep.parse_grid(config(name), (f"{key}=1,2",))


@pytest.mark.parametrize(
    "name",
    daily(
        ["straight_through"],
        [
            "reinforce_constant_baseline",
            "muprop",
            "rebar",
            "relax_rebar",
            "gumbel_softmax",
            "straight_through",
        ],
    ),
)
def test_every_number_that_may_vary_can_be_traced(name):
    """All keys of one grid at once: compiling them is what would fail."""
    base = config(name)
    keys = sweep._numbers(base)
    assert {"optimizer.learning_rate", "optimizer.control_variate_factor"} <= set(keys)

    def loss(value):
        at = at_point(base, 0, dict.fromkeys(keys, value))
        task = layered_task(at, DATASET)
        data = task.data()
        state, _ = step.step(task, step.init(task), jax.numpy.arange(4), data)
        return jax.numpy.stack([x.sum() for x in jax.tree.leaves(state.params)])

    a, b = jax.jit(jax.vmap(loss))(jax.numpy.array([0.3, 0.6]))
    assert np.any(a != b)


def test_a_value_replaces_a_schedule():
    schedule = Schedule(
        "linear_schedule", {"init_value": 1.0, "end_value": 0.5, "transition_steps": 10}
    )
    base = config("gumbel_softmax", temperature=schedule)
    got = at_point(base, 7, {"estimator.temperature": 0.25})
    assert got.seed == 7
    assert got.estimator.temperature == constant(0.25)
    check(got)


@pytest.mark.thorough
def test_a_run_that_diverges_is_named(tmp_path):
    points = sweep.points(config(), 1, {"optimizer.learning_rate": [0.01, 1e38]})
    with pytest.raises(RunError, match=r"Leave seed=5,optimizer.learning_rate=1e\+38"):
        sweep.run(config(), points, tmp_path / "new", SILENT)
