"""The process that reads a MATLAB file; it imports nothing that takes long.

It is given the limit of bytes, the path and the names of matrices, and writes them as
``.npz``.
"""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path
from typing import Any

_BYTES_PER_NUMBER = 8
#: The matrices, the bytes that they come from, and what is packed beside them.
_COPIES = 2


def main(limit: int, path: str, names: list[str]) -> None:
    """Reads the matrices and writes them to the standard output."""
    import numpy as np
    import scipy.io

    _limit_memory(_COPIES * limit)
    shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
    declared = sum(math.prod(shapes[name]) * _BYTES_PER_NUMBER for name in names)
    if declared > limit:
        raise ValueError(f"it unpacks to {declared:,} bytes")
    content = scipy.io.loadmat(path, variable_names=names)
    matrices: Any = {name: np.asarray(content[name]) for name in names}
    if any(matrix.dtype.hasobject for matrix in matrices.values()):
        raise ValueError("cells instead of numbers")
    np.savez(sys.stdout.buffer, **matrices)


def _limit_memory(more: int) -> None:
    """Lets this process take so many bytes more, where what it has is known."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
    # SciPy raises whatever it meets in a file that is none of its own.
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
