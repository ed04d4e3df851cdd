"""Gradient steps of the library: their time, their memory, their variance."""

import functools

import jax
import numpy as np

import jaxdiscrete as jd
from tests.benchmarks.steps import BY_HAND, LIBRARY, OTHERS, library_step, problem
from tests.benchmarks.timing import (
    interleaved_times,
    mark,
    mark_interval,
    ratio,
    ratio_interval,
    seconds_to_compile,
)

# Against the pathwise step through the mean, and against the step written by hand.
TARGETS = {"reinforce": 1.2, "rebar": 1.8, "relax": 3.2}
BY_HAND_TARGETS = dict.fromkeys(("rebar", "vimco, 4", "leave-one-out, 4"), 1.03)
# Against leave-one-out with two samples.
TIME_TARGETS = {"unordered_set, 4": 3.0}
BY_HAND_TARGET, MEMORY_TARGET, COMPILE_TARGET = 1.05, 1.5, 1.2


def steps(rounds):
    """Against the pathwise step, and against the same step written by hand."""
    args = problem()
    programs, memory, seconds = {}, {}, {}
    for name in LIBRARY:
        for kind, make in (
            ("library", lambda n=name: library_step(LIBRARY[n])),
            ("by hand", lambda n=name: functools.partial(BY_HAND[n])),
        ):
            seconds[name, kind], compiled = seconds_to_compile(make, args)
            memory[name, kind] = compiled.memory_analysis().temp_size_in_bytes
            programs[name, kind] = lambda compiled=compiled: compiled(*args)
    times = interleaved_times(programs, rounds)
    pathwise = times["mean field", "library"]
    header = f"{'step':<18}{'ms':>7}  {'against pathwise':<38}"
    print(header + f"{'against by hand':<38}{'memory':<24}compilation")
    rows = []
    for name in LIBRARY:
        ours, by_hand = times[name, "library"], times[name, "by hand"]
        row = {
            "step": name,
            "milliseconds": 1e3 * float(ours.min()),
            "against_pathwise": ratio_interval(ours, pathwise),
            "target_against_pathwise": TARGETS.get(name),
            "against_by_hand": ratio_interval(ours, by_hand),
            "target_against_by_hand": BY_HAND_TARGETS.get(name, BY_HAND_TARGET),
            "memory_against_by_hand": memory[name, "library"]
            / max(1, memory[name, "by hand"]),
            "compile_against_by_hand": seconds[name, "library"]
            / seconds[name, "by hand"],
        }
        against = [
            mark_interval(row[f"against_{what}"], row[f"target_against_{what}"])
            for what in ("pathwise", "by_hand")
        ]
        print(
            f"{name:<18}{row['milliseconds']:>7.2f}  "
            f"{against[0]:<38}{against[1]:<38}"
            f"{mark(row['memory_against_by_hand'], MEMORY_TARGET):<24}"
            f"{mark(row['compile_against_by_hand'], COMPILE_TARGET)}"
        )
        rows.append(row)
    return rows


def variance_times_time(rounds, draws=200):
    """Of the encoder's gradient, against leave-one-out with two samples.

    The objective is the same for all but the bound of several samples, which is left
    out; straight-through estimators are biased, and their bias is not counted.
    """
    model, cv, x, key = problem()
    names = {n: m for n, m in (LIBRARY | OTHERS).items() if "vimco" not in n}
    programs, variances = {}, {}
    for name, make in names.items():
        compiled = jax.jit(library_step(make)).lower(model, cv, x, key).compile()
        programs[name] = lambda compiled=compiled: compiled(model, cv, x, key)
        total, squares = 0.0, 0.0
        for k in jax.random.split(jax.random.key(1), draws):
            g = np.asarray(compiled(model, cv, x, k)[0]["encoder"], np.float64)
            total, squares = total + g, squares + g * g
        mean = total / draws
        variances[name] = float((squares / draws - mean * mean).sum())
    times = interleaved_times(programs, max(1, rounds // 4))
    base = "leave-one-out, 2"
    rows = []
    for name in names:
        if name == "mean field":
            continue
        time = ratio_interval(times[name], times[base])
        rows.append(
            {
                "step": name,
                "variance": variances[name],
                "time": time,
                "target_of_time": TIME_TARGETS.get(name),
                "variance_times_time": variances[name] / variances[base] * time[0],
            }
        )
    print("against leave-one-out with two samples: variance x time (and time alone)")
    for row in sorted(rows, key=lambda row: row["variance_times_time"]):
        time = mark_interval(row["time"], row["target_of_time"])
        print(f"{row['step']:<18}{row['variance_times_time']:>8.2f}  {time}")
    return rows


def scaling(rounds):
    """Time against the number of samples of leave-one-out: linear, or below it."""
    args = problem()
    counts = (8, 32, 128)
    programs = {}
    for k in counts:

        def make(f, cv, k=k):
            return jd.reinforce_loo(f, num_samples=k, chunk_size=4)

        compiled = jax.jit(library_step(make)).lower(*args).compile()
        programs[k] = lambda compiled=compiled: compiled(*args)
    times = interleaved_times(programs, max(5, rounds // 20))
    growth = {k: ratio(times[k], times[counts[0]]) for k in counts}
    print("leave-one-out in chunks of 4, time against 8 samples:", end="")
    print("".join(f"  {k}: {v:.1f}" for k, v in growth.items()))
    return growth
