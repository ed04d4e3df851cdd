"""Categorical samples, against those of JAX."""

import jax

import jaxdiscrete as jd
from tests.benchmarks.timing import interleaved_times, mark, ratio

TARGET = 5.0


def categorical(rounds):
    """How many times faster than ``jax.random.categorical``."""
    logits = jax.random.normal(jax.random.key(0), (4096, 256))
    key = jax.random.key(1)
    ours = jax.jit(lambda k, x: jd.OneHotCategorical(x).sample(k))
    theirs = jax.jit(jax.random.categorical)
    programs = {
        "jaxdiscrete": lambda: ours(key, logits),
        "jax.random.categorical": lambda: theirs(key, logits),
    }
    times = interleaved_times(programs, rounds)
    faster = ratio(times["jax.random.categorical"], times["jaxdiscrete"])
    shown = mark(faster, TARGET, at_most=False)
    print(f"categorical sampling [4096, 256], times faster: {shown}")
    return {
        "milliseconds": {name: 1e3 * float(t.min()) for name, t in times.items()},
        "times_faster": faster,
        "target": TARGET,
    }
