"""The mark on what leaves an estimator beside its value, for who follows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax

from jaxdiscrete.core.latents import is_array
from jaxdiscrete.core.typing import PyTree

#: The name of the call in a program through which aux leaves an estimator.
LEFT_THROUGH_AUX = "jaxdiscrete_left_through_aux"

# A context of JAX, so that a jitted loss is traced anew where it is followed.
_is_followed = jax.make_user_context(False)


@contextlib.contextmanager
def leaving_is_marked() -> Iterator[None]:
    """Programs traced inside show where aux leaves an estimator of hard samples."""
    with _is_followed(True):
        yield


def leaving(aux: PyTree) -> PyTree:
    """``aux``, which gets no credit for what happens to it from here on."""
    if not _is_followed.value:
        return aux
    return jax.tree.map(lambda x: jax.jit(_pass)(x) if is_array(x) else x, aux)


def _pass(x: jax.Array) -> jax.Array:
    return x


_pass.__name__ = LEFT_THROUGH_AUX
