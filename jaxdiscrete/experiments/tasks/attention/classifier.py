"""A classifier that is trained on images under random masks, and then frozen."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.tasks.attention.network import (
    AttentionNetwork,
    as_pixels,
)
from jaxdiscrete.experiments.tasks.attention.settings import Classifier
from jaxdiscrete.experiments.training import loop
from jaxdiscrete.experiments.training.optimizer import adam, apply_gradients
from jaxdiscrete.experiments.training.state import check_finite
from jaxdiscrete.experiments.training.task import Metrics

MOMENTUM = 0.99
EPSILON = 1e-3
#: Also measured here, where published numbers are compared.
EARLY_EPOCH = 10


class Network(nn.Module):
    """ReLU layers with batch normalisation behind each, and a linear output.

    The momentum of its statistics and what is added to their variance are those of
    Keras, in which REAL-X was written.
    """

    hidden: tuple[int, ...]
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, *, is_training: bool) -> jax.Array:
        init = nn.initializers.glorot_uniform()
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, kernel_init=init)(x))
            x = nn.BatchNorm(
                use_running_average=not is_training,
                momentum=MOMENTUM,
                epsilon=EPSILON,
                use_fast_variance=False,
            )(x)
        return nn.Dense(self.num_classes, kernel_init=init, name="output")(x)


class Examples(NamedTuple):
    """The images that it is trained on, and their classes."""

    rows: jax.Array | np.ndarray
    """uint8 ``[images, pixels]``."""
    labels: jax.Array | np.ndarray
    """int32 ``[images]``."""
    white: float
    """The value that is a pixel of one."""


class Trained(NamedTuple):
    """A frozen classifier, and how it was trained."""

    weights: Params
    """Those of an MLP, of which the statistics of the normalisation are part."""
    loss: np.ndarray
    """Cross-entropy and penalty in nats, the mean over every epoch."""
    accuracy: np.ndarray
    """Under random masks, with the statistics of the batch; the mean over every
    epoch."""

    def history(self, name: str) -> dict[str, float]:
        """Metrics of its training, at its end and, where it came so far, early.

        Args:
          name: in front of the metrics.

        Returns:
          By name.
        """
        curves = {f"{name}_loss": self.loss, f"{name}_accuracy": self.accuracy}
        found = {metric: float(curve[-1]) for metric, curve in curves.items()}
        if len(self.loss) > EARLY_EPOCH:
            for metric, curve in curves.items():
                early = f"{metric}_epoch_{EARLY_EPOCH}"
                found[early] = float(curve[EARLY_EPOCH - 1])
        return found


class State(NamedTuple):
    """All that changes in training."""

    step: jax.Array
    variables: dict[str, Any]
    opt_state: Any


def train(
    settings: Classifier,
    examples: Examples,
    masks: AttentionNetwork,
    screen: Console,
    title: str,
) -> Trained:
    """Trains a classifier on images of which every part is hidden with probability 1/2.

    Args:
      settings: of the classifier.
      examples: images and labels.
      masks: which knows their shape.
      screen: where progress is shown.
      title: of the progress bar.

    Returns:
      The frozen classifier.

    Raises:
      RunError: if a loss is not finite.
    """
    network = Network(settings.hidden, masks.num_classes)
    optimizer = adam(
        settings.learning_rate, 0.9, 0.999, settings.epsilon, settings.adam_count
    )
    per_epoch = len(examples.rows) // settings.batch_size
    num_variables, _ = masks.settings.layer_size
    key_init, key_order, key_mask = jax.random.split(jax.random.key(settings.seed), 3)
    examples = jax.tree.map(jnp.asarray, examples)

    def init() -> State:
        x = jnp.zeros((1, examples.rows.shape[1]))
        variables = dict(network.init(key_init, x, is_training=True))
        opt_state = optimizer.init(variables["params"])
        return State(jnp.zeros((), jnp.int32), variables, opt_state)

    def loss(params: Params, statistics: Any, x: jax.Array, labels: jax.Array) -> Any:
        logits, changed = network.apply(
            {"params": params, "batch_stats": statistics},
            x,
            is_training=True,
            mutable=["batch_stats"],
        )
        error = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        squares = sum(jnp.sum(layer["kernel"] ** 2) for layer in _dense(params))
        accuracy = (jnp.argmax(logits, axis=1) == labels).astype(jnp.float32).mean()
        return error + settings.l2 * squares, (changed["batch_stats"], accuracy)

    def step(
        state: State, chosen: jax.Array, examples: Examples
    ) -> tuple[State, Metrics]:
        key = jax.random.fold_in(key_mask, state.step)
        shown = jax.random.bits(key, (len(chosen), num_variables), jnp.uint8) < 128
        x = as_pixels(examples.rows[chosen], examples.white)
        x = x * jax.vmap(masks.spread)(shown.astype(x.dtype))
        params, statistics = state.variables["params"], state.variables["batch_stats"]
        (value, (statistics, accuracy)), grads = jax.value_and_grad(loss, has_aux=True)(
            params, statistics, x, examples.labels[chosen]
        )
        params, opt_state = apply_gradients(optimizer, grads, state.opt_state, params)
        variables = {"params": params, "batch_stats": statistics}
        measured = {"loss": value, "accuracy": accuracy}
        return State(state.step + 1, variables, opt_state), measured

    @jax.jit
    def epoch(state: State, examples: Examples) -> tuple[State, Metrics, Metrics]:
        key = jax.random.fold_in(key_order, state.step // per_epoch)
        order = jax.random.permutation(key, len(examples.rows))
        chosen = order[: per_epoch * settings.batch_size].reshape(per_epoch, -1)
        state, measured = jax.lax.scan(
            lambda state, chosen: step(state, chosen, examples), state, chosen
        )
        return state, measured, jax.tree.map(jnp.mean, measured)

    history: list[Metrics] = []

    def on_block(state: State, block: loop.Block) -> str:
        del state
        remedy = f"Lower model.{title}.learning_rate."
        check_finite(block.first_step, block.checked, remedy)
        history.append({name: float(v) for name, v in block.metrics.items()})
        return ", ".join(f"{name} {v:.4f}" for name, v in history[-1].items())

    state = loop.run(
        lambda state: lambda state: epoch(state, examples),
        jax.jit(init)(),
        settings.num_epochs * per_epoch,
        screen,
        title,
        on_block,
    )
    curves = {
        name: np.array([row[name] for row in history], np.float32)
        for name in ("loss", "accuracy")
    }
    return Trained(freeze(state.variables), **curves)


def freeze(variables: dict[str, Any]) -> Params:
    """The weights of an MLP that does what a trained network does.

    With statistics that stay, batch normalisation is a linear map, which becomes part
    of the layer behind it.

    Args:
      variables: of :class:`Network`.

    Returns:
      Parameters of an MLP of the same layers.
    """
    params, statistics = variables["params"], variables["batch_stats"]
    frozen, layers = {}, _dense(params)
    names = [*(f"Dense_{i}" for i in range(len(layers) - 1)), "output"]
    scale: Any = 1.0
    shift: Any = 0.0
    for i, (name, layer) in enumerate(zip(names, layers, strict=True)):
        kernel, bias = layer["kernel"], layer["bias"]
        if i > 0:
            bias = bias + shift @ kernel
            kernel = scale[:, None] * kernel
        frozen[name] = {"kernel": kernel, "bias": bias}
        if name != "output":
            norm, seen = params[f"BatchNorm_{i}"], statistics[f"BatchNorm_{i}"]
            scale = norm["scale"] * jax.lax.rsqrt(seen["var"] + EPSILON)
            shift = norm["bias"] - seen["mean"] * scale
    return jax.tree.map(np.asarray, frozen)


def _dense(params: Params) -> list[Any]:
    """The layers with weights, from the image on."""
    num_hidden = sum(name.startswith("Dense_") for name in params)
    return [*(params[f"Dense_{i}"] for i in range(num_hidden)), params["output"]]
