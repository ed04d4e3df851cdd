"""Prints ratios of times and memory, measured in one run, and writes them as JSON.

python tests/benchmarks/run.py [--output benchmarks.json] [--rounds 200]
"""

import argparse
import json
import os
import pathlib
import platform
import time

import jax
import numpy as np
from steps import BY_HAND, LIBRARY, OTHERS, library_step, problem

import jaxdiscrete as jd

# Against the pathwise step through the mean, and against the step written by hand.
TARGETS = {"reinforce": 1.2, "rebar": 2.5, "relax": 3.2}
BY_HAND_TARGET, MEMORY_TARGET, SAMPLING_TARGET = 1.05, 1.5, 5.0


def interleaved_times(programs, rounds):
    """Times of each program, taken in turn so that load hits all alike."""
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


def steps(rounds):
    args = problem()
    programs, memory = {}, {}
    for name in LIBRARY:
        for kind, step in (
            ("library", library_step(LIBRARY[name])),
            ("by hand", BY_HAND[name]),
        ):
            compiled = jax.jit(step).lower(*args).compile()
            memory[name, kind] = compiled.memory_analysis().temp_size_in_bytes
            programs[name, kind] = lambda compiled=compiled: compiled(*args)
    times = interleaved_times(programs, rounds)
    pathwise = times["mean field", "library"]
    rows = []
    for name in LIBRARY:
        rows.append(
            {
                "step": name,
                "milliseconds": 1e3 * float(times[name, "library"].min()),
                "against_pathwise": ratio(times[name, "library"], pathwise),
                "target_against_pathwise": TARGETS.get(name),
                "against_by_hand": ratio(
                    times[name, "library"], times[name, "by hand"]
                ),
                "memory_against_by_hand": memory[name, "library"]
                / max(1, memory[name, "by hand"]),
            }
        )
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
    times = interleaved_times(programs, rounds)
    base = "leave-one-out, 2"
    return [
        {
            "step": name,
            "variance": variances[name],
            "time": ratio(times[name], times[base]),
            "variance_times_time": variances[name]
            / variances[base]
            * ratio(times[name], times[base]),
        }
        for name in names
        if name != "mean field"
    ]


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
    times = interleaved_times(programs, rounds)
    return {k: ratio(times[k], times[counts[0]]) for k in counts}


def sampling(rounds):
    logits = jax.random.normal(jax.random.key(0), (4096, 256))
    key = jax.random.key(1)
    ours = jax.jit(lambda k, x: jd.OneHotCategorical(x).sample(k))
    theirs = jax.jit(jax.random.categorical)
    programs = {
        "jaxdiscrete": lambda: ours(key, logits),
        "jax.random.categorical": lambda: theirs(key, logits),
    }
    times = interleaved_times(programs, rounds)
    return {
        "milliseconds": {name: 1e3 * float(t.min()) for name, t in times.items()},
        "times_faster": ratio(times["jax.random.categorical"], times["jaxdiscrete"]),
        "target": SAMPLING_TARGET,
    }


def mark(value, target, at_most=True):
    if target is None:
        return f"{value:.2f}"
    holds = value <= target if at_most else value >= target
    sign = "<=" if at_most else ">="
    return f"{value:.2f} ({sign} {target:g}: {'holds' if holds else 'MISSED'})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default="benchmarks.json")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    rows, sample = steps(options.rounds), sampling(options.rounds)
    header = f"{'step':<18}{'ms':>7}  {'against pathwise':<28}"
    print(header + f"{'against by hand':<28}memory against by hand")
    for row in rows:
        print(
            f"{row['step']:<18}{row['milliseconds']:>7.2f}  "
            f"{mark(row['against_pathwise'], row['target_against_pathwise']):<28}"
            f"{mark(row['against_by_hand'], BY_HAND_TARGET):<28}"
            f"{mark(row['memory_against_by_hand'], MEMORY_TARGET)}"
        )
    faster = mark(sample["times_faster"], SAMPLING_TARGET, at_most=False)
    print(f"categorical sampling [4096, 256], times faster: {faster}")
    products = variance_times_time(options.rounds // 4)
    print("against leave-one-out with two samples: variance x time (and time alone)")
    for row in sorted(products, key=lambda row: row["variance_times_time"]):
        print(
            f"{row['step']:<18}{row['variance_times_time']:>8.2f}  ({row['time']:.2f})"
        )
    growth = scaling(max(5, options.rounds // 20))
    print("leave-one-out in chunks of 4, time against 8 samples:", end="")
    print("".join(f"  {k}: {v:.1f}" for k, v in growth.items()))
    result = {
        "steps": rows,
        "variance_times_time": products,
        "scaling": growth,
        "sampling": sample,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": str(jax.devices()[0].device_kind),
        "cores": os.cpu_count(),
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
