"""Tasks of few pixels, and steps on them."""

import jax
import numpy as np

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.settings import Config, Training
from tests.experiments.helpers import init, layered_task

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


def one_block(task):
    data = task.data()
    return jax.jit(lambda state: step.block(task, state, data))(init(task))
