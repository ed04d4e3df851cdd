"""Masks, loops, branches and mutable state, against enumeration."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_gradient_unbiased
from tests.helpers.trees import assert_close, flat

numpyro = pytest.importorskip("numpyro", reason="the module is for its users")
dist = pytest.importorskip("numpyro.distributions")
control_flow = pytest.importorskip("numpyro.contrib.control_flow")
handlers = pytest.importorskip("numpyro.handlers")
infer = pytest.importorskip("numpyro.infer")
run = pytest.importorskip("jaxdiscrete.interop.numpyro.run").run
ours = pytest.importorskip("jaxdiscrete.interop.numpyro")
problems = pytest.importorskip("tests.interop.numpyro.problems")
edges = pytest.importorskip("tests.interop.numpyro.edges")

pytestmark = pytest.mark.usefixtures("their_own_promotion")
KEY = jax.random.key(0)
LOO = ours.leave_one_out()


def assert_gradient(elbo, problem, expected, guide=None, controls=None):
    """That of the loss is the exact one, in every parameter."""

    def loss(key, params):
        return elbo.loss(
            key, params | (controls or {}), problem.model, guide or problem.guide
        )

    assert_gradient_unbiased(loss, problem.params, expected=flat(expected))


def masked(make):
    """A problem, and the gradient of its enumerated bound."""
    problem, plain = make(), make(is_masked=False)
    exact = jax.grad(lambda p: edges.exact_masked_loss(problem, plain, p))
    return problem, exact(problem.params)


CASES = {
    "sites": edges.hidden,
    "loop": edges.looped,
    "ends": functools.partial(edges.looped, (3, 1)),
    "mean field": functools.partial(edges.looped, (3, 2), is_mean_field=True),
}


def test_a_mask_takes_the_term_and_leaves_the_score():
    problem = edges.looped((3, 1))
    found = run(KEY, problem.model, problem.guide, problem.params, (), {})
    term = found.guide["z"]
    assert (found.sizes, term.is_scanned) == ({"chains": 2}, True)
    is_off = jnp.arange(3)[:, None] >= jnp.array([3, 1])
    assert jnp.all((term.log_prob == 0.0) == is_off)
    assert jnp.all(jnp.where(is_off, 0.0, term.score) == term.log_prob)
    assert jnp.all(term.score < 0.0)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["switch", "chain", "mixture", "nested"])
def test_the_enumeration_is_that_of_numpyro(name):
    pytest.importorskip("funsor", reason="TraceEnum_ELBO needs it")
    enumerate_all = pytest.importorskip("numpyro.contrib.funsor").config_enumerate
    problem, elbo = getattr(problems, name)(), infer.TraceEnum_ELBO()
    guide = enumerate_all(problem.guide)
    theirs = jax.grad(lambda p: elbo.loss(KEY, p, problem.model, guide))
    exact = jax.grad(lambda p: problems.exact_loss(problem, p))
    expected = jax.jit(theirs)(problem.params)
    assert_close(jax.jit(exact)(problem.params), expected, atol=1e-5)
    if name == "chain":
        loss = ours.GraphELBO(default=LOO, num_particles=4)
        assert_gradient(loss, problem, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_masks_take_terms_and_no_scores(name):
    problem, expected = masked(CASES[name])
    assert_gradient(ours.GraphELBO(default=LOO, num_particles=4), problem, expected)


@pytest.mark.thorough
def test_a_loop_is_centred_as_one_decision():
    problem, expected = masked(CASES["ends"])
    guide, controls = ours.centred(problem.guide), {"control.z": jnp.array([9.0, 4.0])}
    assert_gradient(ours.GraphELBO(), problem, expected, guide, controls)


@pytest.mark.thorough
def test_multi_sample_bounds_score_what_is_masked():
    """Two samples of one site that is masked, and of what depends on it."""

    def make(is_masked):
        def model():
            a = numpyro.sample("a", dist.Bernoulli(0.4).mask(not is_masked))
            numpyro.sample("x", dist.Normal(2.0 * a, 1.0), obs=1.4)

        def guide():
            logit = numpyro.param("logit", 0.0)
            numpyro.sample("a", dist.Bernoulli(logits=logit).mask(not is_masked))

        params = {"logit": jnp.array(0.7)}
        return problems.Problem(model, guide, params, {"a": problems.vectors(2, ())})

    weights = jnp.exp(-0.5 * (1.4 - 2.0 * jnp.arange(2)) ** 2) / jnp.sqrt(2 * jnp.pi)
    bounds = jnp.log(0.5 * (weights[:, None] + weights[None]))

    def exact(logit):
        p = jnp.array([jax.nn.sigmoid(-logit), jax.nn.sigmoid(logit)])
        return -p @ bounds @ p

    problem = make(True)
    expected = {"logit": jax.grad(exact)(problem.params["logit"])}
    assert_gradient(ours.VimcoELBO(num_particles=2), problem, expected)


def test_a_relaxation_of_steps_that_follow_one_another_is_refused():
    problem = edges.looped()
    relaxed = ours.estimator(jd.relax, critic=lambda z: z.sum(), temperature=0.5)
    guide = handlers.infer_config(problem.guide, config_fn=lambda site: relaxed)
    with pytest.raises(TypeError, match="At the site 'z' of the guide"):
        ours.GraphELBO().loss(KEY, problem.params, problem.model, guide)


def test_errors_of_loops_and_branches_name_the_site():
    elbo = ours.GraphELBO(default=jd.reinforce)

    def subsampled():
        def step(carry, _):
            with numpyro.plate("rows", 4, subsample_size=2):
                numpyro.sample("z", dist.Bernoulli(0.5))
            return carry, None

        control_flow.scan(step, 0.0, None, length=3)

    def branched():
        control_flow.cond(
            True,
            lambda _: numpyro.sample("z", dist.Bernoulli(0.5)),
            lambda _: numpyro.sample("z", dist.Bernoulli(0.4)),
            None,
        )

    with pytest.raises(ValueError, match="Expected plates around 'z' within a scan"):
        elbo.loss(KEY, {}, subsampled, subsampled)
    with pytest.raises(ValueError, match="no latent site of the model within cond"):
        elbo.loss(KEY, {}, branched, branched)


@pytest.mark.thorough
def test_mutable_state_changes_once():
    problem = problems.switch()

    def guide():
        state = numpyro.primitives.mutable("state", {"count": jnp.array(0)})
        state["count"] = state["count"] + 1
        problem.guide()

    elbo = ours.GraphELBO(default=jd.reinforce)
    state = {"count": jnp.array(3)}
    exact = jax.grad(lambda p: problems.exact_loss(problem, p))(problem.params)

    def loss(key, params):
        result = elbo.loss_with_mutable_state(
            key, params | {"state": state}, problem.model, guide
        )
        return result["loss"], result["mutable_state"]

    (_, after), _ = jax.jit(jax.value_and_grad(loss, 1, has_aux=True))(
        KEY, problem.params
    )
    assert after["state"]["count"] == 4
    assert state["count"] == 3
    assert_gradient_unbiased(
        lambda key, params: loss(key, params)[0], problem.params, expected=flat(exact)
    )
