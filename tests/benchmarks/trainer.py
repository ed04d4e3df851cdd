"""The time of a step in the trainer, evaluation and metrics included.

The linear belief network of REBAR's experiments, 784-200 and batches of 24, on random
images of MNIST's shape; the targets are for 2 idle cores.
"""

import dataclasses
import time

import jax
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
from tests.benchmarks.timing import mark

TARGETS = {"rebar": 1.4, "nvil": 0.8}
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


def milliseconds(config, dataset, blocks):
    task = LayeredTask(
        config,
        dataset,
        network_class=GenerativeNetwork,
        draw=draw,
    )
    state, data = jax.jit(lambda: step.init(task))(), task.data()
    block = step.compile_block(task, state, data)
    times = []
    for _ in range(blocks):
        start = time.perf_counter()
        state, *_ = jax.block_until_ready(block(state, data))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times) / config.training.steps_per_block


def steps(rounds):
    """Milliseconds, the least of several blocks of a thousand steps."""
    blocks = max(1, rounds // 40)
    rng = np.random.default_rng(0)
    parts = [images(rng, n) for n in (50_000, 10_000, 10_000)]
    dataset = Dataset(*parts, (28, 28), False, None, None, None, "random")
    rows = {}
    for name, estimator in ESTIMATORS.items():
        config = dataclasses.replace(CONFIG, estimator=estimator)
        value = milliseconds(config, dataset, blocks)
        print(f"{name:<6}ms per step of training: {mark(value, TARGETS[name])}")
        rows[name] = {"milliseconds": value, "target": TARGETS[name]}
    return rows
