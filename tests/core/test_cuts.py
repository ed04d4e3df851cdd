"""What loses part of a derivative is found by reading; what only selects passes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import jaxdiscrete as jd
from jaxdiscrete.core.cuts import AUX, RULE, way_of
from jaxdiscrete.core.ways import CALLBACK

KEY = jax.random.key(0)
Z = jax.ShapeDtypeStruct((3,), jnp.float32)
WEIGHTS = jnp.arange(3.0)
#: f is written here as users write it.
AS_USERS_DO = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


@jax.custom_jvp
def zero_jvp(x):
    return x**2


zero_jvp.defjvp(lambda x, t: (x[0] ** 2, jnp.zeros_like(t[0])))


@jax.custom_vjp
def zero_vjp(x, y):
    return x**2 * y


zero_vjp.defvjp(lambda x, y: (x**2 * y, x), lambda x, g: (jnp.zeros_like(g), x**2 * g))


@jax.custom_vjp
def rounded_straight_through(x):
    return jnp.round(x)


rounded_straight_through.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))


def of_two_outputs(z):
    value, aux = jd.reinforce(lambda y: (y.sum(), y), has_aux=True)(
        KEY, jd.Bernoulli(z)
    )
    return value + aux.sum()


# All but the last ones hide behind a smooth term of the same entries of z.
CUTS = {
    "a step that keeps NaN": (
        lambda z: z[0] + jnp.heaviside(z[1] - 0.5, 0.0),
        "a comparison",
    ),
    "a step behind a step that keeps NaN": (
        lambda z: jnp.where(z > 0.5, 1.0, jnp.where(jnp.isnan(z), z, 0.0)).sum(),
        "a comparison",
    ),
    "one entry rounded": (lambda z: z[0] + 3.0 * jnp.round(z[1]), "a rounding"),
    "floor in jit": (jax.jit(lambda z: z.sum() + jnp.floor(z).sum()), "a floor"),
    "ceiling in remat": (
        jax.checkpoint(lambda z: z.sum() + jnp.ceil(z).sum()),
        "a ceiling",
    ),
    "rounding in a scan": (
        lambda z: jax.lax.scan(lambda c, x: (c + jnp.round(x), x), 0.0, z)[0] + z.sum(),
        "a rounding",
    ),
    "carried by a scan": (
        lambda z: (
            jax.lax.scan(
                lambda c, _: ((c[1], jnp.round(c[0])), None), (z[0], 0.0), length=3
            )[0][0]
            + z.sum()
        ),
        "a rounding",
    ),
    "remainder": (lambda z: jnp.mod(3.0 * z, 1.0).sum(), "a remainder"),
    "sign": (lambda z: jnp.sign(z - 0.5).sum() + z.sum(), "a sign"),
    "comparison as a number": (
        lambda z: 3.0 * (z.sum() > 1.5) + 0.001 * z.sum(),
        "a comparison",
    ),
    "comparison among constants": (
        lambda z: jnp.where(z > 0.5, 1.0, 0.0).sum() + z.sum(),
        "a comparison",
    ),
    "branch among constants": (
        lambda z: z.sum() + jax.lax.cond(z[0] > 0.5, lambda: 1.0, lambda: 2.0),
        "a comparison",
    ),
    "length of a loop": (
        lambda z: (
            z.sum()
            + jax.lax.while_loop(
                lambda c: c < 3.0 * z[0], lambda c: c + 1.0, jnp.float32(0)
            )
        ),
        "a comparison",
    ),
    "table": (
        lambda z: jnp.arange(4.0)[z.sum().astype(int)] + z.sum(),
        "a cast to integers",
    ),
    "argmax": (
        lambda z: jax.nn.one_hot(z.argmax(), 3) @ WEIGHTS + jnp.square(z).sum(),
        "an argmax",
    ),
    "order": (lambda z: z.sum() + jnp.argsort(z) @ WEIGHTS, "the order of a sort"),
    "indices of top_k": (
        lambda z: jax.lax.top_k(z, 2)[1].sum() + z.sum(),
        "the indices of a top_k",
    ),
    "stopped": (
        lambda z: 2.0 * z.sum() * jax.lax.stop_gradient(z.sum()),
        "a stop_gradient",
    ),
    "straight through": (
        lambda z: (z + jax.lax.stop_gradient(jnp.round(z) - z)).sum(),
        "a rounding",
    ),
    "straight through, rule": (
        lambda z: rounded_straight_through(z).sum(),
        "a rounding",
    ),
    "zero jvp": (lambda z: zero_jvp(z).sum() + z.sum(), RULE),
    "zero vjp in one argument": (lambda z: zero_vjp(z, z).sum() + z.sum(), RULE),
    "callback": (
        lambda z: (
            z.sum()
            + jax.pure_callback(lambda z: z.sum(), jax.ShapeDtypeStruct((), z.dtype), z)
        ),
        CALLBACK,
    ),
    "sample of its own": (
        lambda z: z.sum() + jax.random.categorical(KEY, z),
        "an argmax",
    ),
    "sample of a distribution": (
        lambda z: z.sum() + jd.Bernoulli(z).sample(KEY).sum(),
        "a stop_gradient",
    ),
    "aux of an estimate": (of_two_outputs, AUX),
    "rounding in a nested estimate": (
        lambda z: jd.reinforce(lambda y: (y * jnp.round(z)).sum())(
            KEY, jd.Bernoulli(z)
        ),
        "a rounding",
    ),
}


@AS_USERS_DO
@pytest.mark.parametrize("name", CUTS)
def test_what_loses_a_part_is_found(name):
    f, cut = CUTS[name]
    assert way_of(f, Z, ()).cut == cut


@AS_USERS_DO
def test_integers_of_any_function_are_a_choice():
    """Some versions of JAX show a comparison here, and others one call."""
    way = way_of(lambda z: z.sum() + jnp.searchsorted(WEIGHTS, z).sum(), Z, ())
    assert way.cut in ("a comparison", "the integers of call_hi_primitive")


class Network(nn.Module):
    """One of everything that is common."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(12)(x))
        x = nn.BatchNorm(use_running_average=False)(x[None])[0]
        x = nn.Dropout(0.5, deterministic=False)(nn.LayerNorm()(x))
        x = nn.max_pool(x[:, None], (2,), strides=(2,))[:, 0]
        x = nn.MultiHeadDotProductAttention(2)(jnp.stack([x, 2.0 * x]))
        x = nn.leaky_relu(nn.gelu(nn.GroupNorm(2)(x)))
        return nn.Dense(1)(x.reshape(-1))[0]


def linen(z):
    keys = {"params": KEY, "dropout": KEY}
    return Network().init_with_output(keys, z)[0]


def through_nnx(z):
    rngs = nnx.Rngs(0)
    layers = [nnx.Linear(3, 8, rngs=rngs), nnx.relu, nnx.LayerNorm(8, rngs=rngs)]
    return nnx.Sequential(*layers)(z).sum()


def nested(transform):
    def f(z):
        inner = lambda y, z: (y @ z) * z.sum()  # noqa: E731
        return transform(inner)(KEY, jd.Bernoulli(z), z)

    return f


def of_program(z):
    def model(sample, cost):
        first = sample(jd.reinforce, jd.Bernoulli(z))
        cost(first @ z)
        cost(sample(jd.reinforce, jd.Bernoulli(z + first)) @ z)

    return jd.program(model)(KEY)


def of_sequential(z):
    estimate = jd.sequential(
        jd.reinforce,
        lambda carry, x: (jd.Bernoulli(carry * z), ()),
        lambda carry, y, x: (carry + 1.0, y @ z),
    )
    return estimate(KEY, jnp.float32(1.0), jnp.arange(3.0))


SMOOTH = {
    "softmax": lambda z: jax.nn.softmax(z)[0],
    "log_softmax": lambda z: jax.nn.log_softmax(z)[0],
    "logsumexp": lambda z: jax.nn.logsumexp(z),
    "cumulative logsumexp": lambda z: jax.lax.cumlogsumexp(z)[-1],
    "logaddexp": lambda z: jnp.logaddexp(z[0], z[1]),
    "relu": lambda z: jax.nn.relu(z).sum(),
    "relu6": lambda z: jax.nn.relu6(z).sum(),
    "relu by where": lambda z: jnp.where(z > 0, z, 0.0).sum(),
    "relu by a factor": lambda z: (z * (z > 0)).sum(),
    "gelu": lambda z: jax.nn.gelu(z).sum(),
    "elu": lambda z: jax.nn.elu(z).sum(),
    "leaky_relu": lambda z: jax.nn.leaky_relu(z).sum(),
    "silu, softplus": lambda z: jax.nn.silu(jax.nn.softplus(z)).sum(),
    "symmetric logarithm": lambda z: (jnp.sign(z) * jnp.log1p(jnp.abs(z))).sum(),
    "maximum": lambda z: z.max(),
    "number of unmasked": lambda z: (
        z.sum() * (~jnp.isneginf(z)).sum() - jnp.isnan(z).sum()
    ),
    "density of a relaxed sample": lambda z: (
        jd.OneHotCategorical(jnp.tile(z, (2, 1)))
        .relaxed_log_prob(jnp.zeros((2, 3)), 0.5)
        .sum()
    ),
    "clip": lambda z: jnp.clip(z, 0.1, 0.9).sum(),
    "sorted": lambda z: jnp.sort(z) @ WEIGHTS,
    "sorted by indices": lambda z: z[jnp.argsort(z)] @ WEIGHTS,
    "top_k": lambda z: jax.lax.top_k(z, 2)[0].sum(),
    "median": lambda z: jnp.median(z),
    "branch": lambda z: jax.lax.cond(z[0] > 0, lambda: z[1], lambda: z[2]),
    "linear system": lambda z: jnp.linalg.solve(jnp.diag(z + 1.0) + 0.1, WEIGHTS).sum(),
    "determinants": lambda z: (
        jnp.linalg.det(jnp.diag(z)) + jnp.linalg.slogdet(jnp.diag(z) + 0.1)[1]
    ),
    "gamma": lambda z: jax.scipy.special.gammaln(z + 1.0).sum(),
    "fori_loop": lambda z: jax.lax.fori_loop(0, 3, lambda i, c: c * z[i], 1.0),
    "attention": lambda z: jax.nn.dot_product_attention(
        *[jnp.tile(z, (1, 2, 1, 1))] * 3
    ).sum(),
    "online softmax": lambda z: jax.lax.scan(
        lambda c, x: (
            (m := jax.lax.stop_gradient(jnp.maximum(c[0], x.max())), c[1] + x.sum()),
            m,
        ),
        (-jnp.inf, 0.0),
        jnp.stack([z, z]),
    )[0][1],
    "cross-entropy": lambda z: optax.softmax_cross_entropy_with_integer_labels(z, 1),
    "soft cross-entropy": lambda z: optax.softmax_cross_entropy(z, jnp.eye(3)[0]),
    "sigmoid cross-entropy": lambda z: optax.sigmoid_binary_cross_entropy(
        z, WEIGHTS
    ).sum(),
    "focal": lambda z: optax.sigmoid_focal_loss(z, jnp.ones(3)).sum(),
    "huber": lambda z: optax.huber_loss(z).sum(),
    "hinge": lambda z: optax.hinge_loss(z, jnp.ones(3)).sum(),
    "ctc": lambda z: optax.ctc_loss(
        jnp.tile(z, (1, 4, 1)),
        jnp.zeros((1, 4)),
        jnp.ones((1, 2), jnp.int32),
        jnp.zeros((1, 2)),
    )[0],
    "linen": linen,
    "nnx": through_nnx,
    "program": of_program,
    "sequential": of_sequential,
    "reinforce": nested(jd.reinforce),
    "reinforce_loo": nested(lambda f: jd.reinforce_loo(f, num_samples=2)),
    "nvil": nested(lambda f: jd.nvil(f, centre=0.0)),
    "dice": nested(jd.dice),
    "exact": nested(jd.exact),
    "gumbel_softmax": nested(lambda f: jd.gumbel_softmax(f, temperature=0.5)),
    "straight_through": nested(jd.straight_through),
    "reinmax": nested(jd.reinmax),
    "rebar": nested(lambda f: jd.rebar(f, temperature=0.5)),
    "muprop": nested(jd.muprop),
    "double_cv": nested(lambda f: jd.double_cv(f, num_samples=2, scale=0.0)),
    "local_expectation": nested(jd.local_expectation),
    "unordered_set": nested(lambda f: jd.unordered_set(f, num_samples=2)),
    "disarm": nested(lambda f: jd.disarm(f, num_samples=2)),
    "arms": nested(lambda f: jd.arms(f, num_samples=4)),
    "monte_carlo": nested(lambda f: jd.monte_carlo(jd.reinforce(f), num_repeats=2)),
}


@AS_USERS_DO
@pytest.mark.parametrize("name", SMOOTH)
def test_what_loses_nothing_passes(name):
    assert way_of(SMOOTH[name], Z, ()).cut == ""


def test_the_gradient_of_an_estimate_is_refused():
    def f(z):
        inner = jd.reinforce(lambda y: y @ z)
        return jax.grad(inner, argnums=1)(KEY, jd.Bernoulli(z)).logits.sum()

    with pytest.raises(TypeError, match="Expected a first derivative"):
        way_of(f, Z, ())


@AS_USERS_DO
def test_f_is_traced_once():
    calls = []

    def f(z):
        calls.append(None)
        return linen(z)

    way_of(f, Z, ())
    assert len(calls) == 1


def test_nothing_is_computed(no_compute):
    assert way_of(lambda z: jnp.round(z).sum(), Z, ()).cut == "a rounding"


def test_other_arguments_may_be_stopped_and_rounded():
    f = lambda z, x: (z * jnp.round(jax.lax.stop_gradient(x))).sum()  # noqa: E731
    assert way_of(f, Z, (WEIGHTS,)).cut == ""
