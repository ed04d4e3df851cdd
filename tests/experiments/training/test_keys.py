"""Streams of randomness, whose numbers are those of all runs so far."""

import jax
import numpy as np

from jaxdiscrete.experiments.training.keys import Stream, stream


def test_numbers_never_change():
    """A stream that is inserted gets a new number; these are taken for ever."""
    assert {s.name: s.value for s in Stream} == {
        "INIT": 0,
        "ORDER": 1,
        "PIXELS": 2,
        "STEP": 3,
        "EVALUATION": 4,
        "FINAL": 5,
        "FIGURES": 6,
        "METER": 7,
        "METER_PIXELS": 8,
        "METER_INIT": 9,
        "VARIANCE": 10,
    }


def test_streams_and_seeds_are_keys_of_their_own_also_when_traced():
    keys = [stream(seed, s) for seed in (0, 1) for s in Stream]
    bits = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}
    assert len(bits) == len(keys)
    traced = jax.jit(lambda seed: stream(seed, Stream.STEP))(1)
    assert traced == stream(1, Stream.STEP)
