"""Arrays split over explicit meshes, and what is not, which nothing happens to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxdiscrete as jd
from jaxdiscrete.core import placed
from jaxdiscrete.core.placed import argmax, automatically, first_axis_whole, top_k


def explicit(num=2):
    devices = jax.devices()[:num]
    types = (AxisType.Explicit,)
    return jax.make_mesh((num,), ("classes",), axis_types=types, devices=devices)


def split(x, mesh):
    return jax.device_put(x, NamedSharding(mesh, P(None, "classes")))


def test_on_one_device_a_function_is_called_as_it_is():
    tree = {"x": jnp.ones(3)}
    assert automatically(lambda t: t, tree, out=placed.WHOLE) is tree
    assert first_axis_whole(tree)["x"] is tree["x"]
    jaxpr = str(jax.make_jaxpr(argmax)(jnp.ones(3)))
    assert jaxpr == str(
        jax.make_jaxpr(lambda x: jnp.argmax(x, axis=-1).astype(jnp.int32))(jnp.ones(3))
    )


@pytest.mark.skipif(jax.__version_info__ < (0, 10), reason="explicit meshes")
@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_largest_of_all_parts(k):
    x = np.array([[0.0, 2.0, 2.0, -1.0, 2.0, np.nan, 1.0, 0.5], [*range(8)]])
    x = x.astype(np.float32)
    mesh = explicit()
    with jax.set_mesh(mesh):
        values, index = jax.jit(lambda x: top_k(x, k))(split(x, mesh))
        best = argmax(split(x, mesh))
    expected, expected_index = jax.lax.top_k(x, k)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_array_equal(best, np.argmax(x, axis=-1))


def test_an_old_version_is_named(monkeypatch):
    mesh = explicit()
    monkeypatch.setattr(jax, "__version_info__", (0, 9, 1))
    monkeypatch.setattr(jax, "__version__", "0.9.1")
    message = r"Expected JAX 0.10 or newer .* got JAX 0\.9\.1\. Upgrade .*AxisType.Auto"
    with jax.set_mesh(mesh):
        q = jd.OneHotCategorical(split(jnp.zeros((2, 4)), mesh))
        with pytest.raises(NotImplementedError, match=message):
            jd.reinforce(lambda z: z.sum())(jax.random.key(0), q)
