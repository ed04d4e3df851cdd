"""Grey values to zeros and ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: What the REBAR code passes to ``np.random.seed`` before it draws Omniglot.
FIXED_SEED = 5
#: The ways to make images binary, and how a title says it.
BINARIZATIONS = {
    "published": "as published",
    "threshold": "thresholded",
    "fixed": "drawn once",
    "dynamic": "drawn afresh every epoch",
    "none": "grey",
}
#: Those that leave grey values: for whoever draws from them, and for good.
GREY = ("dynamic", "none")

_CHUNK = 1000


class Binarizer(NamedTuple):
    """Applied to one array after another, as the fixed draws need it."""

    kind: str
    """A key of ``BINARIZATIONS``."""
    random: np.random.RandomState
    """The generator of the fixed draws."""

    def __call__(
        self, grey: np.ndarray, white: float, threshold: float | None = None
    ) -> np.ndarray:
        """Binarises images.

        Args:
          grey: ``[n, pixels]`` from 0 to ``white``.
          white: the value that is surely a one.
          threshold: what a one exceeds under ``"threshold"``. Default: half of white.

        Returns:
          uint8 of the same shape: zeros and ones, or 0 to 255 where they stay grey,
          under ``"dynamic"`` and ``"none"``.
        """
        if self.kind in GREY:
            return np.rint(grey * (255 / white)).astype(np.uint8)
        if self.kind == "threshold":
            threshold = white / 2 if threshold is None else threshold
            return (grey > threshold).astype(np.uint8)
        if self.kind == "published":
            return grey.astype(np.uint8)
        # By parts, because the uniforms take eight times the memory of the bytes.
        parts = [grey[i : i + _CHUNK] for i in range(0, len(grey), _CHUNK)]
        draws = [self.random.rand(*part.shape) < part / white for part in parts]
        return np.concatenate(draws).astype(np.uint8)


def make_binarizer(kind: str) -> Binarizer:
    """A binarizer that has drawn nothing yet, and draws the same numbers every time."""
    return Binarizer(kind, np.random.RandomState(FIXED_SEED))
