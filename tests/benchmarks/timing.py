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


def ratio_interval(a, b):
    """The median of the ratios within a round, and 95 % bounds of it.

    Returns:
      ``(median, lower, upper)``; the bounds are order statistics.
    """
    ratios = np.sort(a / b)
    below = int(ratios.size / 2 - 0.98 * ratios.size**0.5)
    return tuple(map(float, (np.median(ratios), ratios[below], ratios[-1 - below])))


def mark_interval(value, target):
    """A ratio with its bounds; a target holds where the lower one is below it."""
    median, lower, upper = value
    verdict = "holds" if lower <= target else "MISSED"
    return f"{median:.2f} [{lower:.2f} {upper:.2f}] (<= {target:g}: {verdict})"


def mark(value, target, at_most=True):
    """The number, and whether it holds its target where it has one."""
    if target is None:
        return f"{value:.2f}"
    holds = value <= target if at_most else value >= target
    sign = "<=" if at_most else ">="
    return f"{value:.2f} ({sign} {target:g}: {'holds' if holds else 'MISSED'})"
