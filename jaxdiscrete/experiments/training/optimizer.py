"""The optimisers of a run: of the model, of control variates, of moving averages."""

from __future__ import annotations

from typing import Any

import jax
import optax

from jaxdiscrete.experiments.settings.fields import Schedule
from jaxdiscrete.experiments.settings.schedules import value_at
from jaxdiscrete.experiments.training.settings import Config, Optimizer


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """The model's optimiser, and those of control variates.

    Args:
      config: of the run.

    Returns:
      A transformation of ``{"model", "control_variate"}``, or of the latter alone.
    """
    settings, moving_averages = config.optimizer, config.estimator.moving_averages
    own = config.model.learning_rates

    def labels(params: Any) -> Any:
        layers = {
            layer: {
                name: "moving_average" if name in moving_averages else "other"
                for name in cv
            }
            for layer, cv in params["control_variate"].items()
        }
        model: Any = "model"
        if own:
            model = {p: p if p in own else "model" for p in params.get("model", ())}
        named = {"model": model, "control_variate": layers}
        return {part: named[part] for part in params}

    def model(rate: Schedule) -> optax.GradientTransformation:
        descend = _descend(
            settings, rate, 1.0, settings.weight_decay, settings.adam_count
        )
        if settings.clip_norm == 0.0:
            return descend
        return optax.chain(optax.clip_by_global_norm(settings.clip_norm), descend)

    rate, factor = settings.learning_rate, settings.control_variate_factor
    return optax.multi_transform(
        {
            "model": model(rate),
            "other": _descend(settings, rate, factor),
            "moving_average": optax.sgd(settings.moving_average_rate),
            **{part: model(rate) for part, rate in own.items()},
        },
        labels,
    )


def apply_gradients(
    optimizer: optax.GradientTransformation, grads: Any, opt_state: Any, params: Any
) -> tuple[Any, Any]:
    """One step of an optimiser.

    Args:
      optimizer: as from :func:`make_optimizer`.
      grads: of the parameters.
      opt_state: of the optimiser.
      params: the parameters.

    Returns:
      Parameters and optimiser state after the step.
    """
    # Optax raises floats to integer counts, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def adam(
    rate: optax.ScalarOrSchedule,
    momentum: float,
    square_decay: float,
    epsilon: float,
    first_count: int,
) -> optax.GradientTransformation:
    """Adam whose bias correction begins at a later step.

    Args:
      rate: the learning rate, a number or a schedule of the steps that are taken.
      momentum: decay of the mean of gradients.
      square_decay: decay of the mean of squared gradients.
      epsilon: added to the root of the mean square.
      first_count: steps that count as taken before the first; 0 is Adam.

    Returns:
      The transformation.
    """
    scale = optax.scale_by_adam(momentum, square_decay, epsilon)

    def init(params: optax.Params) -> optax.OptState:
        count = jax.numpy.asarray(first_count, jax.numpy.int32)
        return scale.init(params)._replace(count=count)

    return optax.chain(
        optax.GradientTransformation(init, scale.update),
        optax.scale_by_learning_rate(rate),
    )


def _descend(
    settings: Optimizer,
    schedule: Schedule,
    factor: float,
    weight_decay: float = 0.0,
    adam_count: int = 0,
) -> optax.GradientTransformation:
    def rate(step: jax.Array) -> jax.Array:
        return factor * value_at(schedule, step)

    if settings.name == "sgd":
        descend = optax.sgd(rate, settings.momentum)
    elif settings.name == "rmsprop":
        descend = optax.rmsprop(rate, settings.square_decay, momentum=settings.momentum)
    else:
        descend = adam(
            rate,
            settings.momentum,
            settings.square_decay,
            settings.epsilon,
            adam_count,
        )
    if weight_decay == 0.0:
        return descend
    return optax.chain(optax.add_decayed_weights(weight_decay), descend)
