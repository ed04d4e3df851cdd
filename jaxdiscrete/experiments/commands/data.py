"""``jaxdiscrete data``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro
from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.data import inventory
from jaxdiscrete.experiments.data.load import DATASETS


@dataclasses.dataclass(frozen=True)
class List:
    """Show the data sets, and which are on this machine."""

    def run(self, screen: Console) -> None:
        """Prints one table."""
        inventory.describe(screen)


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Download data sets and check them."""

    names: Positional[tuple[str, ...]] = ()
    """Data sets. Default: all."""

    def run(self, screen: Console) -> None:
        """Downloads what is missing or damaged."""
        inventory.fetch(self.names or tuple(DATASETS), screen)


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check the data sets on this machine against their checksums."""

    names: Positional[tuple[str, ...]] = ()
    """Data sets. Default: all."""

    def run(self, screen: Console) -> None:
        """Reads every file once."""
        inventory.verify(self.names or tuple(DATASETS), screen)


Action = (
    Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
    | Annotated[Fetch, tyro.conf.subcommand("fetch", prefix_name=False)]
    | Annotated[Verify, tyro.conf.subcommand("verify", prefix_name=False)]
)


@dataclasses.dataclass(frozen=True)
class Data:
    """List, download and check data sets."""

    action: Annotated[Action, tyro.conf.arg(name="")]

    def run(self, screen: Console) -> None:
        """Runs the command below."""
        self.action.run(screen)
