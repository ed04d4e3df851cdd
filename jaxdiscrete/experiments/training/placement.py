"""Where a run lives: one device, or batches split over a mesh of many.

Parameters are replicated and batches are split along the mesh's one axis, so that the
compiler places every collective. Noise depends on keys and shapes, not on the layout:
the run is the same on any number of devices, up to the order of sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdiscrete.experiments.errors import UsageError

AXIS = "data"


@dataclasses.dataclass(frozen=True)
class Placement:
    """One device, or a mesh.

    Args:
      mesh: with the axis :data:`AXIS`; None for the default device.
    """

    mesh: Mesh | None = None

    @property
    def num_devices(self) -> int:
        """Over how many devices a batch is split."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and prints: the first one does."""
        return jax.process_index() == 0

    def split(self, batch: jax.Array) -> jax.Array:
        """A batch, one part per device; for traced code.

        Args:
          batch: with the examples first.

        Returns:
          The same values.
        """
        if self.mesh is None:
            return batch
        sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))
        return jax.lax.with_sharding_constraint(batch, sharding)

    def replicate(self, tree: Any) -> Any:
        """Arrays that every device holds whole.

        Args:
          tree: of host arrays, the same in every process.

        Returns:
          Arrays on all devices of the mesh.
        """
        if self.mesh is None:
            return jax.tree.map(jax.numpy.asarray, tree)
        sharding = NamedSharding(self.mesh, PartitionSpec())

        def place(x: Any) -> jax.Array:
            x = np.asarray(x)
            return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])

        return jax.tree.map(place, tree)

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """``jax.jit`` with results that every device holds whole.

        Args:
          function: to compile.
          options: of ``jax.jit``.

        Returns:
          The compiled function.
        """
        if self.mesh is None:
            return jax.jit(function, **options)
        sharding = NamedSharding(self.mesh, PartitionSpec())
        return jax.jit(function, out_shardings=sharding, **options)


ONE_DEVICE = Placement()


def parse_mesh(text: str) -> Placement:
    """Reads ``data=8``.

    Args:
      text: the axis and how many devices it has, of all processes together.

    Returns:
      The placement.

    Raises:
      UsageError: if the text has another form, or there are fewer devices.
    """
    axis, _, size = text.partition("=")
    if axis != AXIS or not size.isdecimal() or int(size) < 1:
        raise UsageError(
            f"Expected --mesh {AXIS}=N with N devices, got {text!r}. For instance: "
            f"--mesh {AXIS}=8"
        )
    devices = jax.devices()
    if int(size) > len(devices):
        raise UsageError(
            f"Expected --mesh {AXIS}=N with N <= {len(devices)}, the number of "
            f"{devices[0].platform} devices, got {size}. Lower it; several devices of "
            "one CPU need XLA_FLAGS=--xla_force_host_platform_device_count=N."
        )
    return Placement(Mesh(np.asarray(devices[: int(size)]), (AXIS,)))


def join(address: str | None, num_processes: int | None, process: int | None) -> None:
    """Joins the processes of several hosts into one program.

    Args:
      address: host and port of the first process; None where the cluster tells.
      num_processes: all of them; None where the cluster tells.
      process: which one this is, from 0; None where the cluster tells.

    Raises:
      UsageError: if JAX cannot join them.
    """
    try:
        jax.distributed.initialize(address, num_processes, process)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"Expected to join the processes of a cluster, got: {reason}. Give "
            "--coordinator HOST:PORT --num-processes N --process-id I in every one."
        ) from None
