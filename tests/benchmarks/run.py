"""Prints times, memory and variances, measured in one run, and writes them as JSON.

python tests/benchmarks/run.py [--only SUITE ...] [--rounds 200] [--output FILE]
"""

import argparse
import json
import os
import pathlib
import platform

import gradients
import jax
import sampling
import sequences
import trainer

#: Each is ``measure(rounds) -> what goes into the JSON``, and prints its own table.
SUITES = {
    "steps": gradients.steps,
    "sampling": sampling.categorical,
    "variance_times_time": gradients.variance_times_time,
    "scaling": gradients.scaling,
    "trainer": trainer.steps,
    "sequences": sequences.steps,
    "lengths": sequences.lengths,
    "sites": sequences.sites,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--output", type=pathlib.Path, default="benchmarks.json")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    results = {name: SUITES[name](options.rounds) for name in options.only}
    machine = {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": str(jax.devices()[0].device_kind),
        "cores": os.cpu_count(),
    }
    options.output.write_text(json.dumps(results | machine, indent=2) + "\n")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
