"""Sequences of decisions: their time, memory and compilation."""

import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from tests.benchmarks import recurrent
from tests.benchmarks.timing import (
    interleaved_times,
    mark,
    mark_interval,
    ratio,
    ratio_interval,
)

BY_HAND_TARGET = 1.1
#: Of trace and compilation between the shortest and the longest sequence.
COMPILE_TARGET = 1.3
#: Of time and memory of 1000 steps against 100, beside the ten of a straight line.
LINEAR = (8.0, 12.0)
#: Of tracing 40 sites against 20.
SITES_TARGET = 2.2


def steps(rounds):
    """Gradient steps of a recurrent policy, against the same by hand and by rlax."""
    pairs = {
        "reinforce": recurrent.by_hand,
        "nvil": recurrent.by_hand,
        "reinforce, masked": lambda draw: recurrent.by_hand(draw, is_masked=True),
        "4 rollouts": recurrent.rollouts_by_hand,
    }
    rows = [
        _against(name, "by hand", by_hand, recurrent.LIBRARY[name], rounds)
        for name, by_hand in pairs.items()
    ]
    try:
        import rlax
    except ImportError:
        print("rlax is not installed, and not compared")
        return rows

    def by_rlax(draw):
        return recurrent.by_loss_of_policy(rlax.policy_gradient_loss, draw)

    ours = recurrent.LIBRARY["reinforce"]
    return [*rows, _against("reinforce", "rlax", by_rlax, ours, rounds)]


def _against(name, kind, by_hand, ours, rounds):
    """Times against those of the same step, whose gradients are compared first."""
    args = recurrent.problem(batch=16 if "rollouts" in name else recurrent.BATCH)
    same = jax.jit(by_hand(recurrent.draw_as_the_library))(*args)
    compiled = {
        "library": jax.jit(ours).lower(*args).compile(),
        kind: jax.jit(by_hand(recurrent.draw_as_jax)).lower(*args).compile(),
    }
    for a, b in zip(
        *map(jax.tree.leaves, (compiled["library"](*args), same)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())
    programs = {k: lambda c=c: c(*args) for k, c in compiled.items()}
    times = interleaved_times(programs, max(20, rounds // 5))
    against = ratio_interval(times["library"], times[kind])
    memory = [c.memory_analysis().temp_size_in_bytes for c in compiled.values()]
    row = {
        "step": name,
        "against": kind,
        "milliseconds": 1e3 * float(times["library"].min()),
        "time": against,
        "target": BY_HAND_TARGET,
        "memory": memory[0] / memory[1],
    }
    print(
        f"{name:<18}{row['milliseconds']:>7.1f} ms  against {kind:<8} "
        f"{mark_interval(against, BY_HAND_TARGET):<36}memory {row['memory']:.2f}"
    )
    return row


def lengths(rounds):
    """Trace, compilation, time and memory against the number of steps."""
    times, compiled = {}, {}
    # The first one also traces what JAX keeps of its own functions.
    for num_steps in (10, 10, 100, 1000):
        args = recurrent.problem(time=num_steps, batch=8)
        start = time.perf_counter()
        step = recurrent.library(recurrent.with_baseline)
        compiled[num_steps] = (jax.jit(step).lower(*args).compile(), args)
        times[num_steps] = time.perf_counter() - start
    slowest = max(times.values()) / min(times.values())
    programs = {n: lambda c=c, a=a: c(*a) for n, (c, a) in compiled.items()}
    seconds = interleaved_times(programs, max(10, rounds // 10))
    of_time = ratio(seconds[1000], seconds[100])
    memory = {
        n: c.memory_analysis().temp_size_in_bytes for n, (c, _) in compiled.items()
    }
    of_memory = memory[1000] / memory[100]
    print(
        "10, 100, 1000 steps, seconds to trace and compile: "
        + ", ".join(f"{t:.2f}" for t in times.values())
        + f", {mark(slowest, COMPILE_TARGET)}"
    )
    for what, value in (("time", of_time), ("memory", of_memory)):
        is_linear = LINEAR[0] <= value <= LINEAR[1]
        print(
            f"1000 steps against 100, {what}: {value:.1f} "
            f"(10 +- 2: {'holds' if is_linear else 'MISSED'})"
        )
    return {
        "seconds_to_compile": times,
        "compile_ratio": slowest,
        "time_ratio": of_time,
        "memory_ratio": of_memory,
    }


def _program(num_sites):
    def model(sample, cost, logits):
        z = jnp.array(0.0)
        for i in range(num_sites):
            z = sample(jd.reinforce, jd.Bernoulli(logits[i] + z))
            cost(z)

    return jax.grad(jd.program(model), 1), jnp.zeros(num_sites)


def sites(rounds):
    """Seconds to trace the gradient of a program of 40 sites, against one of 20."""

    def trace(num_sites):
        step, logits = _program(num_sites)
        jax.make_jaxpr(step)(jax.random.key(0), logits)

    programs = {n: lambda n=n: trace(n) for n in (20, 40)}
    times = interleaved_times(programs, max(5, rounds // 20))
    growth = ratio(times[40], times[20])
    print(
        f"40 sites against 20, seconds to trace: {np.median(times[40]):.2f}, "
        f"{mark(growth, SITES_TARGET)}"
    )
    return {"seconds": float(np.median(times[40])), "against_20": growth}
