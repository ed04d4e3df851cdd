"""Prints ratios of times and memory, measured in one run, and writes them as JSON.

python tests/benchmarks/run.py [--output benchmarks.json] [--rounds 60]
"""

import argparse
import json
import os
import pathlib
import platform
import time

import jax
import jax.numpy as jnp
from steps import BY_HAND, LIBRARY, library_step, problem

import jaxdiscrete as jd

# Against the pathwise step through the mean, and against the step written by hand.
TARGETS = {"reinforce": 1.2, "rebar": 2.5, "relax": 3.2}
BY_HAND_TARGET, MEMORY_TARGET, SAMPLING_TARGET = 1.05, 1.5, 5.0


def interleaved_best(programs, rounds):
    """The best time of each program, taken in turn so that load hits all alike."""
    for run in programs.values():
        jax.block_until_ready(run())
    best = dict.fromkeys(programs, float("inf"))
    for _ in range(rounds):
        for name, run in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            best[name] = min(best[name], time.perf_counter() - start)
    return best


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
    best = interleaved_best(programs, rounds)
    pathwise = best["mean field", "library"]
    rows = []
    for name in LIBRARY:
        rows.append(
            {
                "step": name,
                "milliseconds": 1e3 * best[name, "library"],
                "against_pathwise": best[name, "library"] / pathwise,
                "target_against_pathwise": TARGETS.get(name),
                "against_by_hand": best[name, "library"] / best[name, "by hand"],
                "memory_against_by_hand": memory[name, "library"]
                / max(1, memory[name, "by hand"]),
            }
        )
    return rows


def sampling(rounds):
    logits = jax.random.normal(jax.random.key(0), (4096, 256))
    key = jax.random.key(1)
    ours = jax.jit(lambda k, x: jd.OneHotCategorical(x).sample(k))
    theirs = jax.jit(jax.random.categorical)
    programs = {
        "jaxdiscrete": lambda: ours(key, logits),
        "jax.random.categorical": lambda: theirs(key, logits),
    }
    best = interleaved_best(programs, rounds)
    return {
        "milliseconds": {name: 1e3 * t for name, t in best.items()},
        "times_faster": best["jax.random.categorical"] / best["jaxdiscrete"],
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
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    jnp.zeros(1).block_until_ready()
    rows, sample = steps(options.rounds), sampling(options.rounds)
    header = f"{'step':<12}{'ms':>7}  {'against pathwise':<28}"
    print(header + f"{'against by hand':<28}memory against by hand")
    for row in rows:
        print(
            f"{row['step']:<12}{row['milliseconds']:>7.2f}  "
            f"{mark(row['against_pathwise'], row['target_against_pathwise']):<28}"
            f"{mark(row['against_by_hand'], BY_HAND_TARGET):<28}"
            f"{mark(row['memory_against_by_hand'], MEMORY_TARGET)}"
        )
    faster = mark(sample["times_faster"], SAMPLING_TARGET, at_most=False)
    print(f"categorical sampling [4096, 256], times faster: {faster}")
    result = {
        "steps": rows,
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
