"""What a file says of the data."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and how they became binary."""

    name: str = "digits"
    """A data set; jaxdiscrete data list shows them."""
    binarization: str | None = None
    """One of the set's ways to make pixels binary. Default: its first."""
