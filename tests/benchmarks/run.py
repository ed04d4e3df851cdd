"""Prints times, memory and variances, measured in one run, and writes them as JSON.

python -m tests.benchmarks.run [--only SUITE ...] [--rounds 200] [--output FILE]
    [--page FILE]

On one core (taskset -c 0) seconds are those of the processor, for a machine that is not
idle. ``--page`` writes the table of every estimator into a page of the documentation.
"""

import argparse
import json
import os
import pathlib
import platform

import jax

from tests.benchmarks import every, gradients, sampling, sequences, trainer

#: Each is ``measure(rounds) -> what goes into the JSON``, and prints its own table.
SUITES = {
    "steps": gradients.steps,
    "every": every.steps,
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
    parser.add_argument("--page", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    results = {name: SUITES[name](options.rounds) for name in options.only}
    machine = {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": str(jax.devices()[0].device_kind),
        "cores": os.cpu_count(),
    }
    options.output.write_text(json.dumps(results | machine, indent=2) + "\n")
    print(f"wrote {options.output}")
    if options.page is not None and "every" in results:
        every.write_page(options.page, results["every"])


if __name__ == "__main__":
    main()
