"""Two results written by hand: a belief network, and a toy of one seed."""

import dataclasses
import math

from jaxdiscrete.experiments.output.records import (
    Band,
    Curves,
    FollowedEstimator,
    MeasuredRun,
    SharedTrajectory,
    Statistic,
    summarise,
)
from jaxdiscrete.experiments.reproduce.results import (
    ExpectationOutcome,
    PublishedOutcome,
    Result,
)

MARKUP = '<script>alert("&")</script>'


def statistic(mean, error=0.021, seeds=3):
    return Statistic(mean, error if seeds > 1 else None, (mean,) * seeds)


def curves(level, seeds):
    steps = tuple(range(0, 50_001, 1000))
    means = tuple(level - 500 * math.exp(-step / 2000) for step in steps)
    errors = (0.3,) * len(steps) if seeds > 1 else None
    variance = tuple(math.nan if step == 3000 else -4.0 for step in steps)
    metrics = {"train_elbo": Band(means, errors), "log_variance": Band(variance, None)}
    return Curves(steps, metrics)


def run(name, level, calls, seeds=3, **settings):
    return MeasuredRun(
        estimator=name,
        calls_of_f=calls,
        settings={"optimizer.learning_rate": 3e-4, **settings},
        final={
            "test_bound": statistic(level, seeds=seeds),
            "encoder_log_variance": Statistic(math.nan, None, ()),
            "steps_per_second": statistic(123.456, 1.5, seeds),
        },
        curves=curves(level, seeds),
    )


def published(step, value, measured, holds):
    return PublishedOutcome(
        key="variance",
        run="rebar",
        metric="log_variance",
        step=step,
        value=value,
        published_metric="log variance of the gradient",
        table="training-curve figure",
        source="read from the curve",
        note=None,
        measured=measured,
        measured_step=50_000 if measured else None,
        tolerance=0.3,
        holds=holds,
    )


def expectation(text, holds, *, within=(), bounds=(), **measured):
    measured = {name: summarise(values) for name, values in measured.items()}
    return ExpectationOutcome(text, "log_variance", measured, within, bounds, holds)


VARIANCE = Statistic(-4.31, 0.021, (-4.31,) * 3)
RESULT = Result(
    experiment="rebar/mnist_nonlinear",
    paper="REBAR",
    title=f"Nonlinear {MARKUP}",
    reference="G. Tucker et al., 2017, https://example.org/rebar",
    where="training-curve figure",
    dataset="MNIST",
    notes=(f"One learning rate | not five {MARKUP}",),
    command="jaxdiscrete reproduce configs/rebar/mnist_nonlinear.toml --short",
    length="short",
    steps=50_000,
    full_steps=2_000_000,
    full_hours=3.1,
    seeds=(0, 1, 2),
    versions={"python": "3.11.7", "jax": "0.7.2"},
    device="CPU, 2 cores",
    wall_seconds=812.0,
    cpu_seconds=1_500.0,
    runs={
        "rebar": run("rebar", -101.234, 2, temperature=0.1),
        "hot": run("rebar", -103.0, 2, temperature=0.5),
        f"nvil {MARKUP} $x$": run("nvil", -107.0, 1),
    },
    published=(
        published(50_000, -4.2, VARIANCE, True),
        published(50_000, -7.1, VARIANCE, False),
        published(2_000_000, -6.5, VARIANCE, None),
        published(50_000, -4.75, None, None),
    ),
    expectations=(
        expectation("REBAR is below NVIL", True, rebar=[-4.3], nvil=[-2.6]),
        expectation("HOT is best", False, hot=[-53.0], rebar=[-51.0]),
    ),
    shared_trajectory=SharedTrajectory(
        driver="nvil",
        steps=50_000,
        seeds=(0,),
        runs={
            "rebar": FollowedEstimator(
                2,
                {
                    "log_variance": summarise([-5.5]),
                    "encoder_log_variance": summarise([math.nan]),
                    "log_variance_times_calls": summarise([-4.81]),
                },
            )
        },
        curve_steps=(0, 1000),
        log_variance={"rebar": (-5.0, math.nan)},
    ),
)
TOY = dataclasses.replace(
    RESULT,
    experiment="relax/toy_0.45",
    paper="RELAX",
    title="Toy problem",
    reference="",
    notes=(),
    length="short",
    steps=10_000,
    full_steps=10_000,
    full_hours=0.01,
    seeds=(0,),
    wall_seconds=12.0,
    runs={
        "relax": MeasuredRun(
            estimator="relax",
            calls_of_f=3,
            settings={},
            final={
                "loss": Statistic(0.247501, None, (0.247501,)),
                "theta": Statistic(math.nan, None, ()),
            },
            curves=Curves((0, 100), {"loss": Band((0.25, 0.2475), None)}),
        )
    },
    published=(),
    expectations=(
        expectation(
            "Lowest variance",
            True,
            within=("relax",),
            bounds=(-9.0, -4.0),
            relax=[-5.0, -6.0, -7.0, -8.0, -10.0],
        ),
    ),
    shared_trajectory=None,
)
