"""Where to look next, and what a recurrent network makes of what it sees there."""

from __future__ import annotations

import dataclasses
import functools
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.networks import MLP, Params, apply
from jaxdiscrete.experiments.tasks.glimpses.settings import Settings


class Reader(nn.Module):
    """A GRU over glimpses and their places, and the labels that it thinks of."""

    features: int
    hidden: int
    num_classes: int

    @nn.compact
    def __call__(
        self, state: jax.Array, seen: jax.Array, z: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        what = nn.relu(nn.Dense(self.features, name="glimpse")(seen))
        what = nn.Dense(self.features, name="what")(what)
        where = nn.Dense(self.features, name="where")(z)
        state, _ = nn.GRUCell(self.hidden, name="gru")(state, nn.relu(what + where))
        return state, nn.log_softmax(nn.Dense(self.num_classes, name="output")(state))


@dataclasses.dataclass(frozen=True)
class GlimpseNetwork:
    """Both parts of the network, for one scene.

    Equal ones share their compiled programs.

    Args:
      settings: of the task.
      num_classes: labels that there are.
    """

    settings: Settings
    num_classes: int

    def init(self, key: jax.Array) -> Params:
        """Initial parameters; every place has the same probability at first.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder"}``: what chooses, and what reads.
        """
        key_encoder, key_decoder = jax.random.split(key)
        (_, num_places), size = self.settings.layer_size, self.settings.glimpse**2
        inputs = (self.start(), jnp.zeros(size), jnp.zeros(num_places))
        return {
            "encoder": self._chooser.init(key_encoder, self.start())["params"],
            "decoder": self._reader.init(key_decoder, *inputs)["params"],
        }

    def start(self) -> jax.Array:
        """The state before the first glimpse."""
        return jnp.zeros(self.settings.hidden)

    def choose(self, params: Params, state: jax.Array) -> jd.OneHotCategorical:
        """q(z | state), the place of the next glimpse.

        Args:
          params: as from :meth:`init`.
          state: after the glimpses so far.

        Returns:
          The distribution of the place.
        """
        return jd.OneHotCategorical(apply(self._chooser, params["encoder"], state))

    def read(
        self, params: Params, state: jax.Array, places: jax.Array, z: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """One more glimpse.

        Args:
          params: as from :meth:`init`.
          state: before it.
          places: as from :meth:`places`.
          z: one-hot, the place; or weights of places, of which the mean is seen.

        Returns:
          The state after it, and the log-probabilities of the labels.
        """
        variables = {"params": params["decoder"]}
        after = self._reader.apply(variables, state, z @ places, z)
        return cast(tuple[jax.Array, jax.Array], after)

    def places(self, image: jax.Array) -> jax.Array:
        """The pixels that are seen at every place.

        Args:
          image: of a scene, ``[height, width]``.

        Returns:
          ``[places, pixels of a glimpse]``.
        """
        size = self.settings.glimpse
        seen = [image[i : i + size, j : j + size].ravel() for i, j in self._corners]
        return jnp.stack(seen)

    @functools.cached_property
    def windows(self) -> np.ndarray:
        """The pixels of the canvas that every place shows, ``[places, ...]``."""
        size = self.settings.glimpse
        windows = np.zeros((len(self._corners), *self.settings.canvas), np.float32)
        for window, (i, j) in zip(windows, self._corners, strict=True):
            window[i : i + size, j : j + size] = 1.0
        return windows

    @functools.cached_property
    def _corners(self) -> list[tuple[int, int]]:
        """Those of the places, row by row."""
        (height, width), (rows, columns) = self.settings.canvas, self.settings.grid
        size = self.settings.glimpse
        return [
            (int(i), int(j))
            for i in np.linspace(0, height - size, rows).round()
            for j in np.linspace(0, width - size, columns).round()
        ]

    @property
    def _chooser(self) -> MLP:
        return MLP((), self.settings.layer_size[1], init_name="zero_output")

    @property
    def _reader(self) -> Reader:
        return Reader(self.settings.features, self.settings.hidden, self.num_classes)
