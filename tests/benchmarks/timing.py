"""Times that a loaded machine does not bend, and how they are printed."""

import os
import time

import jax
import numpy as np


def clock():
    """Seconds by the wall; on one core those of the processor.

    What else a machine does makes the first longer and hardly the second, which count
    the threads of several cores together: ``taskset -c 0`` asks for one.
    """
    is_one_core = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == 1
    return time.process_time if is_one_core else time.perf_counter


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
    times, now = {name: [] for name in programs}, clock()
    for _ in range(rounds):
        for name, run in programs.items():
            start = now()
            jax.block_until_ready(run())
            times[name].append(now() - start)
    return {name: np.array(t) for name, t in times.items()}


def seconds_to_compile(make, args, rounds=3):
    """The least processor time of tracing, of lowering and of compilation.

    Args:
      make: makes a new function, which JAX has not seen.
      args: its arguments.
      rounds: how often; the first also traces what JAX keeps of its own functions.

    Returns:
      ``(seconds, compiled)``.
    """
    times = []
    for _ in range(rounds):
        marks = [time.process_time()]
        traced = jax.jit(make()).trace(*args)
        marks.append(time.process_time())
        lowered = traced.lower()
        marks.append(time.process_time())
        compiled = lowered.compile()
        marks.append(time.process_time())
        times.append(np.diff(marks))
    return float(np.min(times, axis=0).sum()), compiled


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
    if target is None:
        return f"{median:.2f} [{lower:.2f} {upper:.2f}]"
    verdict = "holds" if lower <= target else "MISSED"
    return f"{median:.2f} [{lower:.2f} {upper:.2f}] (<= {target:g}: {verdict})"


def mark(value, target, at_most=True):
    """The number, and whether it holds its target where it has one."""
    if target is None:
        return f"{value:.2f}"
    holds = value <= target if at_most else value >= target
    sign = "<=" if at_most else ">="
    return f"{value:.2f} ({sign} {target:g}: {'holds' if holds else 'MISSED'})"
