"""Schedules by name against their formulas, traced and not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.settings.schedules import (
    SCHEDULES,
    read_schedule,
    value_at,
)

#: Arguments as in a file, a step, and the value there by the formula.
CASES = {
    "constant_schedule": ({"value": 0.3}, 7, 0.3),
    "linear_schedule": (
        {"init_value": 1.0, "end_value": 0.5, "transition_steps": 10},
        4,
        0.8,
    ),
    "exponential_decay": (
        {"init_value": 2.0, "transition_steps": 10, "decay_rate": 0.5},
        5,
        2.0 * 0.5**0.5,
    ),
    "piecewise_constant_schedule": (
        {"init_value": 1.0, "boundaries_and_scales": {"3": 0.5, "6": 0.1}},
        7,
        0.05,
    ),
    "polynomial_schedule": (
        {"init_value": 1.0, "end_value": 0.0, "power": 2, "transition_steps": 10},
        5,
        0.25,
    ),
    "cosine_decay_schedule": ({"init_value": 2.0, "decay_steps": 10}, 5, 1.0),
    "cosine_onecycle_schedule": (
        {"transition_steps": 10, "peak_value": 1.0, "pct_start": 0.3},
        3,
        1.0,
    ),
    "linear_onecycle_schedule": (
        {"transition_steps": 10, "peak_value": 1.0, "pct_start": 0.3},
        3,
        1.0,
    ),
    "warmup_constant_schedule": (
        {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 4},
        1,
        0.25,
    ),
    "warmup_cosine_decay_schedule": (
        {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 4, "decay_steps": 12},
        8,
        0.5,
    ),
    "warmup_exponential_decay_schedule": (
        {
            "init_value": 0.0,
            "peak_value": 1.0,
            "warmup_steps": 4,
            "transition_steps": 10,
            "decay_rate": 0.5,
        },
        9,
        0.5**0.5,
    ),
}


def test_every_schedule_has_a_case():
    assert CASES.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula(name):
    arguments, step, expected = CASES[name]
    schedule = read_schedule({"name": name, **arguments}, "rate")
    assert schedule.name == name
    traced = jax.jit(lambda s: value_at(schedule, s))(jnp.asarray(step))
    assert traced.dtype == jnp.float32
    assert traced == pytest.approx(expected, rel=1e-5)


def test_a_constant_may_be_traced():
    """So that a sweep can map over it."""
    values = jnp.array([0.5, 2.0])
    got = jax.vmap(lambda v: value_at(constant(v), jnp.asarray(3)))(values)
    np.testing.assert_array_equal(got, values)
