"""What an accelerator computes, and how fast: gradients, samples, steps, the trainer.

python -m tests.benchmarks.accelerator [--output accelerator.json] [--seconds 330]

Every estimator's gradient is compared with that of the processor, example by example;
then samples are timed against jax.random.categorical, every estimator at three sizes of
a batch, and a step of the trainer. What the time does not suffice for is named and left
out. Without an accelerator it says so and ends.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import time

import jax
import numpy as np

from tests.battery.estimators import MAIN
from tests.benchmarks import every, sampling, trainer

BATCHES = (100, 1_000, 10_000)
#: Of the examples, those whose gradient may differ by more than rounding: where a
#: uniform lies so near to a probability that another rounding is another sample.
FLIPPED, ROUNDING = 0.02, 1e-3


def put(args, device):
    return jax.device_put(args, jax.sharding.SingleDeviceSharding(device))


def compiled_for(make, devices_and_args):
    """Compiles one function for several arguments at a time, one thread each."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lowered = [jax.jit(make).lower(*args) for args in devices_and_args]
        return list(pool.map(lambda program: program.compile(), lowered))


def share_that_differs(ours, theirs):
    """The share of examples whose gradients differ by more than rounding.

    Args:
      ours: pytree of arrays with a leading axis of examples.
      theirs: the same, of another device.
    """
    differs = False
    for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (a, b))
        size = np.abs(b).max(axis=1, keepdims=True) + np.abs(b).mean() + 1e-6
        differs |= ~(np.abs(a - b) <= ROUNDING * size).all(axis=1)
    return float(np.mean(differs))


def compare_gradients(name, device, batch):
    """A row: the share of examples in which the device differs from the processor."""
    kind = every.kind_of(name)
    args = every.problem(kind, batch)
    places = [put(args, d) for d in (device, jax.devices("cpu")[0])]
    with jax.default_matmul_precision("highest"):
        programs = compiled_for(every.gradients(name, kind), places)
    ours, theirs = (
        jax.device_get(p(*a)) for p, a in zip(programs, places, strict=True)
    )
    share = share_that_differs(ours, theirs)
    return {"estimator": name, "differs": share, "agrees": share <= FLIPPED}


def time_steps(name, device, batches, rounds):
    """A row: the median seconds of a gradient step at every size of a batch."""
    kind = every.kind_of(name)
    args = [put(every.problem(kind, batch), device) for batch in batches]
    programs = compiled_for(every.step(name, kind), args)
    seconds = {}
    for batch, program, inputs in zip(batches, programs, args, strict=True):
        jax.block_until_ready(program(*inputs))
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            jax.block_until_ready(program(*inputs))
            times.append(time.perf_counter() - start)
        seconds[str(batch)] = float(np.median(times))
    return {"estimator": name, "seconds": seconds}


def until(deadline, names, row_of):
    """Rows of as many names as the time suffices for, and the names left out."""
    rows, names = [], list(names)
    while names and time.perf_counter() < deadline:
        rows.append(row_of(names.pop(0)))
        print(rows[-1], flush=True)
    if names:
        print(f"left out, for want of time: {', '.join(names)}")
    return {"rows": rows, "left_out": names}


def measure(device, *, seconds, names=MAIN, batches=BATCHES, rounds=20, of_trainer):
    """All that is measured on a device.

    Args:
      device: an accelerator.
      seconds: about how long it may take.
      names: of the battery's estimators.
      batches: how many examples, in turn.
      rounds: how often a step is timed.
      of_trainer: ``(rounds) -> rows``.

    Returns:
      A dictionary for JSON.
    """
    start = time.perf_counter()
    results = {
        "jax": jax.__version__,
        "device": device.device_kind,
        "gradients": until(
            start + 0.45 * seconds,
            names,
            lambda name: compare_gradients(name, device, min(batches)),
        ),
        "sampling": sampling.categorical(rounds),
        "trainer": of_trainer(rounds),
        "steps": until(
            start + seconds,
            names,
            lambda name: time_steps(name, device, batches, rounds),
        ),
    }
    return results | {"seconds": time.perf_counter() - start}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default="accelerator.json")
    parser.add_argument("--seconds", type=float, default=330.0)
    options = parser.parse_args()
    device = jax.devices()[0]
    if device.platform == "cpu":
        print("JAX finds no accelerator here: nothing is measured.")
        return
    results = measure(
        device, seconds=options.seconds, of_trainer=lambda _: trainer.steps(40)
    )
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    wrong = [r["estimator"] for r in results["gradients"]["rows"] if not r["agrees"]]
    print(f"wrote {options.output}; {results['seconds']:.0f} seconds")
    if wrong:
        raise SystemExit(f"Gradients differ from those of the processor: {wrong}.")


if __name__ == "__main__":
    main()
