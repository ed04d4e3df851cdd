"""The time of a step in the trainer, evaluation and metrics included.

The linear belief network of REBAR's experiments, 784-200 and batches of 24, on random
images of MNIST's shape; the targets are for 2 idle cores.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.estimators.score_function import Nvil, Rebar
from jaxdiscrete.experiments.layered.task import LayeredTask
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.generative.network import GenerativeNetwork
from jaxdiscrete.experiments.tasks.generative.pictures import draw
from jaxdiscrete.experiments.tasks.generative.settings import Settings
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import (
    Config,
    Evaluation,
    Optimizer,
    Training,
)
from tests.benchmarks.timing import (
    interleaved_times,
    mark,
    mark_interval,
    ratio_interval,
)
from tests.benchmarks.trainer_by_hand import LOSSES, block_of

TARGETS = {"rebar": 1.4, "nvil": 0.8}
BY_HAND_TARGET = 1.15
ESTIMATORS = {
    "rebar": Rebar(relaxation="muprop"),
    "nvil": Nvil(centre=False, normalize=False),
}
CONFIG = Config(
    estimator=ESTIMATORS["rebar"],
    model=Settings((200,), init="variance_scaling"),
    optimizer=Optimizer(
        learning_rate=constant(3e-4), square_decay=0.99999, control_variate_factor=10.0
    ),
    training=Training(num_steps=1000, batch_size=24, steps_per_block=1000),
    evaluation=Evaluation(num_examples=1000),
)


def images(rng, count):
    return (rng.random((count, 784)) < 0.13).astype(np.uint8)


def blocks_of(name, config, dataset):
    """A block of training by the trainer and by hand, each a function of nothing."""
    task = LayeredTask(
        config,
        dataset,
        network_class=GenerativeNetwork,
        draw=draw,
    )
    state, data = jax.jit(lambda: step.init(task))(), task.data()
    by_hand, first = block_of(LOSSES[name], task, state.params, data)
    # The trainer's block takes its state over, and leaves no copy of it.
    held = {"by hand": jax.tree.map(jnp.copy, first), "trainer": state}
    compiled = {
        "by hand": jax.jit(by_hand, donate_argnums=0).lower(first, data).compile(),
        "trainer": step.compile_block(task, state, data),
    }

    def run(kind):
        held[kind], *rest = compiled[kind](held[kind], data)
        return rest

    return {kind: functools.partial(run, kind) for kind in compiled}


def steps(rounds, config=CONFIG, num_images=(50_000, 10_000, 10_000)):
    """Against the same step by hand: blocks of a thousand steps, in turn."""
    rng = np.random.default_rng(0)
    parts = [images(rng, n) for n in num_images]
    dataset = Dataset(*parts, (28, 28), False, None, None, None, "random")
    rows = {}
    for name, estimator in ESTIMATORS.items():
        of_one = dataclasses.replace(config, estimator=estimator)
        times = interleaved_times(
            blocks_of(name, of_one, dataset), max(4, rounds // 10)
        )
        least = 1e3 * float(times["trainer"].min()) / config.training.steps_per_block
        against = ratio_interval(times["trainer"], times["by hand"])
        print(
            f"{name:<6}ms per step of training: {mark(least, TARGETS[name])}, "
            f"against by hand: {mark_interval(against, BY_HAND_TARGET)}"
        )
        rows[name] = {
            "milliseconds": least,
            "target": TARGETS[name],
            "against_by_hand": against,
        }
    return rows
