"""The one training loop: block after block, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments.output.progress import training_progress
from jaxdiscrete.experiments.training.task import Metrics


class Stepped(Protocol):
    """A state that counts its steps."""

    @property
    def step(self) -> Any:
        """Steps so far."""
        ...


S = TypeVar("S", bound=Stepped)


class Block(NamedTuple):
    """What came of a block, on the host."""

    first_step: int
    """Steps before it."""
    step: int
    """Steps after it."""
    checked: Metrics
    """What must be finite, with the steps first."""
    metrics: Metrics
    """Scalars at its end."""
    seconds: float
    """Time of this block."""
    elapsed: float
    """Time since the block before it, or since the start with its compilation."""


def run(
    compile_block: Callable[[S], Callable[[S], tuple[S, Metrics, Metrics]]],
    state: S,
    num_steps: int,
    screen: Console,
    title: str,
    on_block: Callable[[S, Block], str],
) -> S:
    """Trains up to a step.

    Args:
      compile_block: from the state to the block of steps, compiled.
      state: where to begin; its arrays may be reused.
      num_steps: how far to go.
      screen: where progress is shown.
      title: of the progress bar.
      on_block: called after every block with the state and what came of it; returns
        the status of the progress bar.

    Returns:
      The state at the end.
    """
    step = int(state.step)
    if step >= num_steps:
        return state
    before = time.perf_counter()
    with training_progress(screen) as progress:
        bar = progress.add_task(
            title, total=num_steps, completed=step, status="compiling"
        )
        block = compile_block(state)
        while step < num_steps:
            begin = time.perf_counter()
            state, checked, metrics = jax.block_until_ready(block(state))
            now = time.perf_counter()
            first_step, step = step, int(state.step)
            checked, metrics = jax.tree.map(np.asarray, (checked, metrics))
            done = Block(first_step, step, checked, metrics, now - begin, now - before)
            before = now
            progress.update(bar, completed=step, status=on_block(state, done))
    return state
