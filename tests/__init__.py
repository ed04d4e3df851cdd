"""The suite, on four CPU devices, with compiled programs kept on disk.

What follows is for JAX, which reads it once: this package is imported before it.
"""

import os
import pathlib
import sys
from importlib.metadata import version

# shard_map needs devices. Most tests compile more than they compute, so programs are
# optimised little, except those of many samples (helpers/statistics.py), and kept on
# disk for the next run and for other processes. What the environment says wins.
FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    # Half the time of compilation. Later versions know no other emitters.
    FLAGS += ["--xla_cpu_use_fusion_emitters=false"]
PROGRAMS = pathlib.Path(__file__).parents[1] / ".jax_cache"


def prepare():
    # Once each, also in the processes of pytest-xdist, which inherit them: programs on
    # disk are found by the text of the flags.
    given = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join([f for f in FLAGS if f not in given] + given)
    for name, value in {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(PROGRAMS),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }.items():
        os.environ.setdefault(name, value)


# Benchmarks, which are a part of this package, are compiled as for users, and run on
# whatever device there is.
if "pytest" in sys.modules:
    prepare()
