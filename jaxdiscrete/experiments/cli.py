"""The console script, which starts without the optional dependencies."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

#: Modules of ``pip install jaxdiscrete[experiments]``.
REQUIRED = (
    "PIL",
    "flax",
    "jinja2",
    "matplotlib",
    "orbax.checkpoint",
    "pooch",
    "requests",
    "rich",
    "scipy",
    "sklearn",
    "tensorboardX",
    "tqdm",
    "tyro",
)
#: What shells expect of a process that Ctrl-C ended.
INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
      args: without the program's name. Default: those of the process.

    Returns:
      The exit code: 0, 1 for a run that failed, 2 for input that cannot be used.

    Raises:
      SystemExit: on --help, and with code 2 on arguments that cannot be parsed.
    """
    missing = [name for name in REQUIRED if not _is_installed(name)]
    if missing:
        print(
            f"jaxdiscrete: Expected the packages of the experiments, got none of "
            f"{', '.join(missing)}. Run: pip install 'jaxdiscrete[experiments]'",
            file=sys.stderr,
        )
        return 2
    try:
        # Only now, because importing it imports all of them.
        from jaxdiscrete.experiments.commands.main import run

        return run(list(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:
        print(
            "\njaxdiscrete: interrupted. What was saved stays: train and compare "
            "continue with --resume, reproduce when it is called again.",
            file=sys.stderr,
            flush=True,
        )
        sys.stdout.flush()
        # A program that XLA still compiles in its own threads crashes a normal exit.
        os._exit(INTERRUPTED)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
