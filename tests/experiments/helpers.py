"""Tasks on made-up images."""

import dataclasses

import jax

from jaxdiscrete.experiments.config.load import load_runs
from jaxdiscrete.experiments.models.generative import GenerativeNetwork
from jaxdiscrete.experiments.models.structured import StructuredNetwork
from jaxdiscrete.experiments.output import checkpoints
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.build import make_task
from jaxdiscrete.experiments.training.layered import LayeredTask
from jaxdiscrete.experiments.training.pictures import (
    generative_pictures,
    structured_pictures,
)
from jaxdiscrete.experiments.training.placement import ONE_DEVICE

NETWORKS = {
    "generative": (GenerativeNetwork, generative_pictures),
    "structured": (StructuredNetwork, structured_pictures),
}


def layered_task(config, dataset, placement=ONE_DEVICE):
    """The task of a configuration, on a data set of the test's own."""
    network_class, draw = NETWORKS[config.model.task]
    return LayeredTask(
        config, dataset, placement, network_class=network_class, draw=draw
    )


def init(task):
    """The compiled initial state of a task."""
    return jax.jit(lambda: step.init(task))()


def with_seed(config, seed):
    return dataclasses.replace(config, seed=seed)


def restore(path, folder):
    """The newest state of a run that a file with one estimator describes."""
    (config,) = load_runs(path).values()
    return checkpoints.restore(folder, init(make_task(config)))
