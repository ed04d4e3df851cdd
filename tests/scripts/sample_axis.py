"""Gradients with batch and samples on a mesh, printed as JSON.

Run by tests/multi_sample/test_mechanism.py:

python sample_axis.py BATCH SAMPLES [PORT NUM_PROCESSES PROCESS_ID]
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxdiscrete as jd


def log_weight(z):
    return jnp.dot(z, jnp.array([1.0, -2.0, 0.5])) + z[0] * z[1] - 3.0


def main(batch, samples, port=None, num_processes=1, process_id=0):
    if port is not None:
        jax.distributed.initialize(f"localhost:{port}", num_processes, process_id)
    devices = np.array(jax.devices()).reshape(batch, samples)
    mesh = Mesh(devices, ("batch", "samples"))
    where = NamedSharding(mesh, P("samples"))
    rows, everywhere = NamedSharding(mesh, P("batch")), NamedSharding(mesh, P())
    logits = np.linspace(-1.0, 1.0, 24, dtype=np.float32).reshape(8, 3)
    seeds = np.arange(8, dtype=np.uint32)
    result = {}
    for name, estimate in {
        "reinforce_loo": jd.reinforce_loo(log_weight, num_samples=8, sharding=where),
        "vimco": jd.bounds.vimco(log_weight, num_samples=8, sharding=where),
        "disarm": jd.disarm(log_weight, num_samples=16, sharding=where),
    }.items():

        def loss(logits, seeds, estimate=estimate):
            keys = jax.vmap(jax.random.key)(seeds)
            q = jd.Bernoulli(logits)
            return jax.vmap(estimate)(keys, q).mean()

        step = jax.jit(
            jax.value_and_grad(loss), in_shardings=rows, out_shardings=everywhere
        )
        placed = [
            jax.make_array_from_callback(x.shape, rows, lambda i, x=x: x[i])
            for x in (logits, seeds)
        ]
        value, gradient = step(*placed)
        result[name] = [float(value), np.asarray(gradient).ravel().tolist()]
    print(json.dumps(result))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
