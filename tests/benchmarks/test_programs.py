"""How programs are compiled that are timed."""

import os
import subprocess
import sys

SETTINGS = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR")


def test_the_flags_of_the_suite_do_not_reach_benchmarks():
    kept = {name: v for name, v in os.environ.items() if name not in SETTINGS}
    code = "import os, tests.benchmarks; print([n for n in {} if n in os.environ])"
    found = subprocess.check_output(
        [sys.executable, "-c", code.format(SETTINGS)], env=kept, text=True
    )
    assert found.strip() == "[]"
    assert all(name in os.environ for name in SETTINGS)
