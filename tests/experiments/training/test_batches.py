"""Orders of the rows of a training set, and how large a batch may be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.experiments.helpers import layered_task, with_seed
from tests.experiments.training.problems import BINARY, make


def order(steps, block, seed=0):
    """The rows of ``steps`` steps, drawn block by block."""
    task = make(training={"num_steps": block, "steps_per_block": block}, seed=seed)
    data = task.data()
    draw = jax.jit(lambda first: task.batches(first, block, data))
    blocks = [draw(jnp.asarray(s)) for s in range(0, steps, block)]
    return np.concatenate(blocks)


def test_every_epoch_is_a_permutation_of_its_own():
    """Five full batches of two in eleven rows; the odd one out is another each time."""
    rows = order(60, 60)
    assert rows.shape == (60, 2)
    epochs = rows.reshape(12, 10)
    for epoch in epochs:
        assert len(set(epoch)) == 10
        assert set(epoch) <= set(range(11))
    left_out = {next(iter(set(range(11)) - set(epoch))) for epoch in epochs}
    assert len(left_out) > 3
    assert len({tuple(epoch) for epoch in epochs}) == 12


@pytest.mark.parametrize("block", [1, 3, 4, 5, 12, 20])
def test_blocks_continue_the_order_of_one_long_block(block):
    np.testing.assert_array_equal(order(60, block), order(60, 60))


def test_seeds_have_orders_of_their_own_also_when_mapped():
    task = make()
    data = task.data()

    def draw(seed, first):
        seeded = layered_task(with_seed(task.config, seed), BINARY)
        return seeded.batches(first, 7, data)

    # Second block: its steps 7 to 13 begin within an epoch.
    mapped = jax.jit(jax.vmap(draw, (0, None)))(jnp.arange(3), jnp.asarray(7))
    for seed in range(3):
        np.testing.assert_array_equal(mapped[seed], order(14, 7, seed)[7:])
    assert not np.array_equal(mapped[0], mapped[1])


def test_a_batch_may_be_the_whole_training_set():
    task = make(training={"batch_size": 11, "num_steps": 4})
    drawn = task.batches(jnp.asarray(0), 4, task.data())
    assert drawn.shape == (4, 11)
    for batch in np.asarray(drawn):
        assert sorted(batch) == list(range(11))
