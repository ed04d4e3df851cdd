"""Two optimisers in one: of the model and guide, and of control variates."""

from __future__ import annotations

from typing import Any

import optax

from jaxdiscrete.interop.numpyro.estimators import CONTROL


def labels(params: dict[str, Any]) -> dict[str, str]:
    """Says of every parameter of SVI which of the two optimisers it has.

    Args:
      params: of SVI, by name.

    Returns:
      ``"control"`` where the name begins with ``control.``, else ``"model"``.

    Example:
      >>> print(labels({"loc": 0.0, "control.z": 0.0}))
      {'loc': 'model', 'control.z': 'control'}
    """
    return {name: "control" if name.startswith(CONTROL) else "model" for name in params}


def two_optimizers(
    model: optax.GradientTransformation, control: optax.GradientTransformation
) -> optax.GradientTransformation:
    """An optimiser for SVI that trains parameters of control variates by their own.

    What :func:`centred` adds, and every ``numpyro.param`` of a guide whose name begins
    with ``control.``, is trained by ``control``, all else by ``model``.

    Args:
      model: of the parameters of model and guide.
      control: of those of control variates.

    Returns:
      ``optax.multi_transform`` of both by :func:`labels`.

    Example:
      >>> tx = two_optimizers(optax.adam(0.01), optax.sgd(0.1))
      >>> params = {"loc": 0.0, "control.z": 0.0}
      >>> updates, _ = tx.update({"loc": 3.0, "control.z": 3.0}, tx.init(params))
      >>> print({name: round(float(u), 2) for name, u in updates.items()})
      {'control.z': -0.3, 'loc': -0.01}
    """
    return optax.multi_transform({"model": model, "control": control}, labels)
