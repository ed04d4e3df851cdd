"""Plates, loops and branches, as they are seen while a program of NumPyro runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
from numpyro.ops.pytree import PytreeTrace
from numpyro.primitives import Messenger


class Watch(Messenger):
    """Refuses plates without elements, and remembers loops and branches.

    Attributes:
      sizes: of the plates, before they are subsampled.
      scanned: names of sites that ``numpyro.contrib.control_flow.scan`` collects.
      branched: names of sites within ``numpyro.contrib.control_flow.cond``.
    """

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.scanned: set[str] = set()
        self.branched: set[str] = set()
        super().__init__()

    def __enter__(self) -> Watch:
        super().__enter__()
        return self

    def process_message(self, msg: dict[str, Any]) -> None:
        """Looks at a plate before anything is drawn of it."""
        if msg["type"] == "plate":
            size, subsample_size = msg["args"]
            self.sizes[msg["name"]] = size
            if subsample_size == 0:
                raise ValueError(_empty(msg["name"]))

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        """Looks into a loop or a branch, whose messages reach nobody outside."""
        if msg["type"] != "control_flow":
            return
        # The result of cond has the sites of the branch taken, that of scan those of
        # all steps, further inside.
        is_branch = isinstance(msg["value"][1], PytreeTrace)
        for name, site in _samples(msg["value"]):
            (self.branched if is_branch else self.scanned).add(name)
            for frame in site["cond_indep_stack"]:
                if frame.size == 0:
                    raise ValueError(_empty(frame.name))
                self.sizes.setdefault(frame.name, frame.size)
            if site["cond_indep_stack"] and site["scale"] is not None:
                raise ValueError(
                    f"Expected plates around {name!r} within a scan or cond that are "
                    "neither subsampled nor scaled, got a scale. Guide and model would "
                    "see other elements: draw the elements before the loop, put "
                    "numpyro.handlers.scale around it, and a whole plate into it."
                )

    def check_replayed(self, sites: dict[str, Any]) -> None:
        """Raises where a model has drawn a site that the guide has, once more.

        Args:
          sites: trace of the model.
        """
        for name in sorted(self.branched):
            if not sites[name]["is_observed"]:
                raise ValueError(
                    f"Expected no latent site of the model within cond, got {name!r}. "
                    "NumPyro does not hand the guide's value into a branch: sample it "
                    "outside, from what the branch returns."
                )


def _samples(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sample sites that a loop or a branch has collected."""

    def is_trace(x: Any) -> bool:
        return isinstance(x, PytreeTrace)

    for leaf in jax.tree.leaves(value, is_leaf=is_trace):
        if is_trace(leaf):
            for name, site in leaf.trace.items():
                if site["type"] == "sample":
                    yield name, site


def _empty(name: str) -> str:
    return (
        f"Expected plates of one element or more, got {name!r} with subsample_size=0. "
        "Give it a subsample_size of one or more."
    )
