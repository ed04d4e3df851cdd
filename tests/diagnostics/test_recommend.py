"""Advice follows what the objective and the distributions allow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.samplers import BareSampler

KEY = jax.random.key(0)
BITS = jd.Bernoulli(jnp.zeros(12))
CLASSES = jd.OneHotCategorical(jnp.zeros((6, 4)))
MIXED = {"bits": BITS, "classes": CLASSES}


def over_leaves(fn):
    return lambda z: sum(fn(x) for x in jax.tree.leaves(z))


def host(z):
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    total = lambda x: np.float32(np.sum(x))  # noqa: E731
    return jax.pure_callback(total, shape, z, vmap_method="sequential")


SMOOTH = over_leaves(lambda z: jnp.sum((z - 0.45) ** 2))
HARD_ONLY = over_leaves(lambda z: jnp.sum(z + jnp.sqrt(z * (z - 1.0) + 1e-9)))
ROUNDED = over_leaves(lambda z: jnp.sum(jnp.round(z)))
BLACK_BOX = over_leaves(host)
STOPPED_MAXIMUM = over_leaves(lambda z: jax.lax.stop_gradient(jnp.max(z)))
JUMP = over_leaves(lambda z: jnp.sum(jnp.where(z > 0.5, 3.0 + z, z)))
STEEP = over_leaves(lambda z: jnp.sum(jnp.sqrt(z)))

CASES = [
    # f, q, budget, allow_bias, name, options in the code
    (SMOOTH, BITS, None, False, "rebar", "scale=scale"),
    (SMOOTH, MIXED, 3, False, "rebar", "log_temperature"),
    (SMOOTH, CLASSES, 4, False, "double_cv", "num_samples=4"),
    (SMOOTH, BITS, 1, False, "nvil", "baseline, centre=centre"),
    (SMOOTH, BITS, None, True, "gumbel_softmax", "temperature=0.5"),
    (HARD_ONLY, BITS, None, False, "double_cv", "num_samples=2, scale=scale"),
    (HARD_ONLY, CLASSES, 1, True, "reinmax", "(f)"),
    (HARD_ONLY, MIXED, None, True, "straight_through", "(f)"),
    (ROUNDED, BITS, None, False, "disarm", "num_samples=2"),
    (ROUNDED, BITS, 3, True, "disarm", "num_samples=2"),
    (ROUNDED, BITS, 7, False, "arms", "num_samples=7"),
    (ROUNDED, CLASSES, 7, False, "reinforce_loo", "num_samples=7"),
    (JUMP, BITS, None, False, "disarm", "num_samples=2"),
    (STEEP, BITS, 4, False, "arms", "num_samples=4"),
    (STEEP, CLASSES, 4, True, "gumbel_softmax", "temperature=0.5"),
    (BLACK_BOX, MIXED, None, False, "reinforce_loo", "num_samples=2"),
    (BLACK_BOX, BITS, 1, True, "nvil", "baseline"),
    (SMOOTH, jd.Bernoulli(jnp.zeros(8)), None, False, "exact", "(f)"),
    (BLACK_BOX, BITS, 4096, False, "exact", "(f)"),
    (SMOOTH, jd.Bernoulli(jnp.zeros(3)), 7, False, "double_cv", "num_samples=7"),
]


@pytest.mark.parametrize(("f", "q", "budget", "allow_bias", "name", "code"), CASES)
def test_the_rules(f, q, budget, allow_bias, name, code, capsys):
    choice = jd.recommend(f, q, budget=budget, allow_bias=allow_bias)
    assert choice.name == name
    assert choice.code.startswith(f"jaxdiscrete.{name}(f")
    assert code in choice.code
    assert capsys.readouterr().out == ""
    assert len(choice.reasons) >= 3
    for reason in choice.reasons:
        assert f"  because {reason}\n" in f"{choice}\n"
    for alternative in choice.alternatives:
        assert f"  or {alternative}\n" in f"{choice}\n"
        assert hasattr(jd, alternative.split("jaxdiscrete.")[1].split("(")[0])


@pytest.mark.parametrize("case", daily([2, 6, 8, 11], [0, 2, 3, 5, 6, 8, 10, 11, 12]))
def test_the_transform_can_be_used_at_once(case):
    f, q, budget, allow_bias, *_ = CASES[case]
    choice = jd.recommend(f, q, budget=budget, allow_bias=allow_bias)
    gradient = jax.grad(choice.transform(f), argnums=1)
    shapes = jax.eval_shape(gradient, KEY, q)
    assert jax.tree.structure(shapes) == jax.tree.structure(q)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (SMOOTH, "f is differentiable in z, also between the hard values"),
        (HARD_ONLY, "f is differentiable in z, but not finite between the hard values"),
        (
            ROUNDED,
            "f depends on z through a rounding, whose derivative is zero by "
            "construction",
        ),
        (BLACK_BOX, "JAX has no derivative of f (Pure callbacks do not support JVP)"),
        (
            jd.black_box(lambda z: np.float32(np.sum(z))),
            "JAX has no derivative of f (Expected no derivative of a "
            "jaxdiscrete.black_box)",
        ),
    ],
)
def test_what_f_allows_is_a_reason(f, reason):
    choice = jd.recommend(f, MIXED, budget=2)
    assert reason in choice.reasons
    assert "q has mixed variables with about 2^24 joint states" in choice.reasons
    assert "2 calls of f are affordable" in choice.reasons


@pytest.mark.parametrize("f", daily([JUMP], [STOPPED_MAXIMUM, JUMP]))
def test_what_reading_cannot_see_is_probed(f):
    jumps = (
        "f jumps between the hard values, or its derivative is not its own there: it "
        "misses "
    )
    assert any(r.startswith(jumps) for r in jd.recommend(f, MIXED, budget=2).reasons)


def test_an_estimate_inside_f_is_not_probed():
    def f(z):
        inner = jd.reinforce(lambda y: jnp.sum(y * z))
        return inner(KEY, jd.Bernoulli(z))

    assert jd.recommend(f, BITS).name == "rebar"


def test_a_bare_sampler_is_scored():
    choice = jd.recommend(jnp.sum, BareSampler(jnp.zeros(2)), allow_bias=True)
    assert choice.name == "reinforce_loo"
    assert choice.alternatives == ()
    assert "q offers less than jaxdiscrete.Relaxable" in choice.reasons
    assert jd.recommend(jnp.sum, BareSampler(jnp.zeros(2)), budget=1).name == "nvil"


def test_arguments_reach_the_objective():
    f = lambda z, weights: jnp.dot(z, weights)  # noqa: E731
    assert jd.recommend(f, BITS, jnp.ones(12)).name == "rebar"
    assert jd.recommend(f, BITS, jnp.full(12, jnp.nan)).name == "disarm"


@pytest.mark.parametrize(
    ("f", "q", "budget", "error", "match"),
    [
        (SMOOTH, BITS, 0, ValueError, "budget >= 1 in jaxdiscrete.recommend, got 0"),
        (SMOOTH, BITS, 2.0, TypeError, "budget .* to be a Python int, got float"),
        (SMOOTH, jnp.zeros(3), None, TypeError, "q of jaxdiscrete.recommend"),
        (lambda z: z, BITS, None, ValueError, "f to return one real scalar"),
    ],
)
def test_bad_input(f, q, budget, error, match):
    with pytest.raises(error, match=match):
        jd.recommend(f, q, budget=budget)
