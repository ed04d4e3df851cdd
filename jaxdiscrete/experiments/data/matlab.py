"""MATLAB files, read in a process of their own: a changed byte can end the reader."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data import matlab_process
from jaxdiscrete.experiments.data.archives import MOST_BYTES, arrays_of_npz

_MOST_SECONDS = 120


def load(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Matrices of numbers, within limits of time and memory.

    Args:
      path: ``*.mat``.
      names: of the matrices.

    Returns:
      The matrices, in the order of ``names``.

    Raises:
      ValueError: if the process did not read them.
    """
    # Without what lies beside the script, which could be taken for other modules.
    command = [sys.executable, "-P", matlab_process.__file__, str(MOST_BYTES)]
    command += [str(path.absolute()), *names]
    # Threads of linear algebra reserve memory, which is limited.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_MOST_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"no end after {_MOST_SECONDS} seconds") from None
    if done.returncode < 0:
        raise ValueError(f"its reader ended by {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        raise ValueError(lines[-1] if lines else f"exit code {done.returncode}")
    return arrays_of_npz(io.BytesIO(done.stdout), names)
