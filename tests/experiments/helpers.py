"""Tasks on made-up images."""

import dataclasses

import jax

from jaxdiscrete.experiments.config.load import load_runs
from jaxdiscrete.experiments.layered.task import LayeredTask
from jaxdiscrete.experiments.tasks.generative.network import GenerativeNetwork
from jaxdiscrete.experiments.tasks.generative.pictures import draw as draw_generative
from jaxdiscrete.experiments.tasks.structured.network import StructuredNetwork
from jaxdiscrete.experiments.tasks.structured.pictures import draw as draw_structured
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import checkpoints, step
from jaxdiscrete.experiments.training.placement import ONE_DEVICE

NETWORKS = {
    "generative": (GenerativeNetwork, draw_generative),
    "structured": (StructuredNetwork, draw_structured),
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


def load_config(path):
    """The one run of a file."""
    (config,) = load_runs(path).values()
    return config


def restore(path, folder):
    """The newest state of a run that a file with one estimator describes."""
    task = make_task(load_config(path))
    return checkpoints.restore(folder, jax.eval_shape(lambda: step.init(task)))
