"""Scenes of glimpses: what they hold, and where one can look."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.tasks.glimpses.scenes import Maker, make_scenes
from tests.experiments.tasks.test_glimpses import MODEL, make


def test_a_scene_has_one_whole_digit_and_fragments_of_others():
    task = make()
    rows = jnp.asarray(task.dataset.test)
    chosen = jnp.arange(40)
    maker = Maker(MODEL, (8, 8), 255.0)
    clean_maker = Maker(dataclasses.replace(MODEL, num_fragments=0), (8, 8), 255.0)
    scenes = make_scenes(maker, jax.random.key(0), chosen, rows)
    corners = set()
    for image, digit, row in zip(*map(np.asarray, (*scenes, rows[:40])), strict=True):
        small = row.reshape(8, 8) / 255.0
        where = np.argwhere(digit)
        # The digit is there from its first inked row to its last.
        ink = np.argwhere(small)
        np.testing.assert_allclose(np.ptp(where, axis=0), np.ptp(ink, axis=0))
        corner = where.min(axis=0) - ink.min(axis=0)
        corners.add(tuple(corner))
        whole = digit[corner[0] :, corner[1] :][:8, :8]
        np.testing.assert_allclose(whole, small, atol=1e-6)
        assert (image >= digit).all()
        assert (image > digit).sum() <= 2 * 3 * 3
    assert len(corners) > 8
    assert {0, 4} <= {i for i, _ in corners}
    again = make_scenes(maker, jax.random.key(0), chosen, rows)
    np.testing.assert_array_equal(again.image, scenes.image)
    other = make_scenes(maker, jax.random.key(1), chosen, rows)
    assert not np.array_equal(other.image, scenes.image)
    clean = make_scenes(clean_maker, jax.random.key(0), chosen, rows)
    np.testing.assert_array_equal(clean.image, clean.digit)


def test_held_out_scenes_do_not_depend_on_the_seed_of_a_run():
    one = make()
    other = dataclasses.replace(one, config=dataclasses.replace(one.config, seed=9))
    np.testing.assert_array_equal(one.data().valid.image, other.data().valid.image)


def test_places_reach_from_edge_to_edge():
    network = make(canvas=(12, 10), grid=(2, 3)).network
    image = jnp.arange(120.0).reshape(12, 10)
    places = network.places(image)
    assert places.shape == (6, 16)
    for place, window in zip(places, network.windows, strict=True):
        np.testing.assert_array_equal(place, image[window > 0.0])
    np.testing.assert_array_equal(places[0], image[:4, :4].ravel())
    np.testing.assert_array_equal(places[1], image[:4, 3:7].ravel())
    np.testing.assert_array_equal(places[-1], image[-4:, -4:].ravel())
