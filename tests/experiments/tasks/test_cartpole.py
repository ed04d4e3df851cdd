"""The cart and the pole against Gymnasium's, from recorded and from fresh states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.tasks.policy import cartpole

#: State, push to the right, next state: CartPoleEnv of gymnasium 1.2.0, in float64.
RECORDED = [
    (
        (0.6300237616786899, -0.9208531449445188, -0.18361059042552214, -1.93388945788),
        False,
        (0.6116066987797996, -1.1135966811000668, -0.22228837958323983, -1.70331264051),
    ),
    (
        (1.4410431003212532, 1.6510223091108869, 0.042654310306871945, 0.917986243936),
        True,
        (1.4740635465034708, 1.8455424541982717, 0.061014035185591814, 0.639007982036),
    ),
    (
        (0.20067496074094526, 1.740289695151073, 0.1263414216486129, -1.98904599932),
        False,
        (0.23548075464396673, 1.5440893384562404, 0.08656050166222473, -1.6600455375),
    ),
    (
        (1.6440596723028187, -1.8656576978781426, 0.09186217857197765, -1.29737751759),
        True,
        (1.6067465183272558, -1.671814503178629, 0.06591462822018238, -1.55994682885),
    ),
]
#: Lengths of gymnasium's episodes from one state, by what is done in turn.
LENGTHS = {(1,): 10, (0, 1): 23, (0, 0, 1, 1): 18}
FIRST = (0.01, -0.02, 0.03, 0.04)


@pytest.mark.parametrize(("state", "right", "following"), RECORDED)
def test_moves_are_those_of_gymnasium(state, right, following):
    moved = cartpole.move(jnp.array(state), jnp.array(right))
    np.testing.assert_allclose(moved, following, rtol=2e-6)
    assert bool(cartpole.is_up(moved)) == (abs(following[2]) < np.deg2rad(12.0))


@pytest.mark.parametrize("pattern", LENGTHS)
def test_episodes_end_when_those_of_gymnasium_do(pattern):
    move, state, length = jax.jit(cartpole.move), jnp.array(FIRST), 0
    while cartpole.is_up(state):
        state = move(state, bool(pattern[length % len(pattern)]))
        length += 1
    assert length == LENGTHS[pattern]


def test_moves_are_those_of_an_installed_gymnasium():
    reason = "the live comparison needs gymnasium; recorded moves are compared anyway"
    classic = pytest.importorskip(
        "gymnasium.envs.classic_control.cartpole", reason=reason
    )
    env, move = classic.CartPoleEnv(), jax.jit(cartpole.move)
    rng = np.random.default_rng(0)
    for _ in range(50):
        env.reset()
        env.state = rng.uniform([-2.5, -2, -0.22, -2], [2.5, 2, 0.22, 2])
        before, right = np.array(env.state), bool(rng.integers(2))
        _, reward, is_over, _, _ = env.step(int(right))
        after = move(jnp.asarray(before, jnp.float32), right)
        np.testing.assert_allclose(after, env.state, rtol=1e-4, atol=1e-6)
        assert reward == 1.0
        assert bool(cartpole.is_up(after)) != bool(is_over)


@pytest.mark.parametrize(
    ("state", "is_up"),
    [
        ((2.39, 0.0, 0.0, 0.0), True),
        ((-2.41, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.209, 0.0), True),
        ((0.0, 0.0, -0.21, 0.0), False),
        ((0.0, 9.0, 0.0, -9.0), True),
    ],
)
def test_the_track_and_the_angle_end_an_episode(state, is_up):
    assert bool(cartpole.is_up(jnp.array(state))) is is_up


def test_episodes_start_near_rest():
    starts = jax.vmap(cartpole.start)(jax.random.split(jax.random.key(0), 1000))
    assert starts.shape == (1000, 4)
    assert np.abs(starts).max() <= 0.05
    assert starts.std(axis=0).min() > 0.02
