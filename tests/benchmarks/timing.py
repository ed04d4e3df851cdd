"""Times that a loaded machine does not bend, and how they are printed."""

import time

import jax
import numpy as np


def interleaved_times(programs, rounds):
    """Times of each program, taken in turn so that load hits all alike.

    Args:
      programs: functions without arguments, by name.
      rounds: how often each runs, after one run that is not timed.

    Returns:
      Seconds by name, ``[rounds]``.
    """
    for run in programs.values():
        jax.block_until_ready(run())
    times = {name: [] for name in programs}
    for _ in range(rounds):
        for name, run in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(time.perf_counter() - start)
    return {name: np.array(t) for name, t in times.items()}


def ratio(a, b):
    """The median of the ratios within a round: what the machine does then cancels."""
    return float(np.median(a / b))


def mark(value, target, at_most=True):
    """The number, and whether it holds its target where it has one."""
    if target is None:
        return f"{value:.2f}"
    holds = value <= target if at_most else value >= target
    sign = "<=" if at_most else ">="
    return f"{value:.2f} ({sign} {target:g}: {'holds' if holds else 'MISSED'})"
