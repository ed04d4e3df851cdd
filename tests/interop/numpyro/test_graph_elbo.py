"""The bound of guides with discrete sites, against enumeration."""

import itertools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_gradient_unbiased
from tests.helpers.trees import flat

numpyro = pytest.importorskip("numpyro", reason="the module is for its users")
dist = pytest.importorskip("numpyro.distributions")
infer_config = pytest.importorskip("numpyro.handlers").infer_config
ours = pytest.importorskip("jaxdiscrete.interop.numpyro")
problems = pytest.importorskip("tests.interop.numpyro.problems")

pytestmark = pytest.mark.usefixtures("their_own_promotion")
KEY = jax.random.key(0)
LOO = ours.leave_one_out()


def assert_gradient(elbo, problem, expected):
    """That of the loss is the exact one, in every parameter."""

    def loss(key, params):
        return elbo.loss(key, params, problem.model, problem.guide)

    assert_gradient_unbiased(loss, problem.params, expected=flat(expected))


@pytest.mark.parametrize(
    ("name", "credit"),
    daily(
        [("chain", ours.by_provenance)],
        [
            *itertools.product(
                ["chain", "switch", "mixture"],
                [ours.by_provenance, ours.by_program_order],
            ),
            ("nested", ours.by_provenance),
        ],
    ),
)
def test_the_gradient_is_that_of_the_enumerated_bound(name, credit):
    problem = getattr(problems, name)()
    elbo = ours.GraphELBO(default=LOO, num_particles=4, credit=credit)
    exact = jax.jit(jax.grad(lambda p: problems.exact_loss(problem, p)))
    assert_gradient(elbo, problem, exact(problem.params))


ESTIMATORS = {
    "centred": ours.centred,
    "baseline": lambda guide: at_sites(guide, jd.reinforce, baseline=1.5),
    "relax": lambda guide: at_sites(
        guide, jd.relax, critic=lambda z: 0.8 * z, temperature=0.5
    ),
    "running": lambda guide: at_sites(
        guide, jd.reinforce_running_optimal_baseline, weighted_value=2.0, weight=1.0
    ),
}


def at_sites(guide, transform, **options):
    """The guide, of which every site has this estimator."""
    infer = ours.estimator(transform, **options)
    return infer_config(guide, config_fn=lambda site: infer)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_at_sites_are_unbiased(name):
    problem = problems.chain()
    controls = {f"control.z{t}": jnp.array(1.0) for t in range(3)}
    guide = ESTIMATORS[name](problem.guide)
    exact = jax.grad(lambda p: problems.exact_loss(problem, p))(problem.params)

    def loss(key, params):
        return ours.GraphELBO(num_particles=4).loss(
            key, params | controls, problem.model, guide
        )

    assert_gradient_unbiased(loss, problem.params, expected=flat(exact))


@pytest.mark.thorough
def test_reparametrised_sites_keep_their_own_derivative():
    problem = problems.mixed()
    elbo = ours.GraphELBO(default=LOO, num_particles=4)
    exact = jax.grad(lambda p: problems.exact_mixed_loss(problem, p))(problem.params)
    assert_gradient(elbo, problem, exact)


@pytest.mark.parametrize("name", daily(["switch"], ["switch", "chain", "mixture"]))
def test_the_gradient_of_the_multi_sample_bound(name):
    problem = getattr(problems, name)()
    exact = jax.jit(jax.grad(lambda p: problems.exact_pair_loss(problem, p)))
    assert_gradient(ours.VimcoELBO(num_particles=2), problem, exact(problem.params))


@pytest.mark.thorough
def test_subsampled_plates_are_scaled_once():
    problem = problems.subsampled(2)
    whole = problems.subsampled(4)
    elbo = ours.GraphELBO(default=LOO, num_particles=4)
    exact = jax.grad(lambda p: problems.exact_loss(whole, p))(problem.params)
    assert_gradient(elbo, problem, exact)


def call(elbo, model, guide):
    return elbo.loss(KEY, {}, model, guide)


def test_errors_name_the_site():
    problem = problems.switch()

    def continuous():
        numpyro.sample("y", dist.Normal(0.0, 1.0))

    def several():
        infer = ours.estimator(jd.reinforce_loo, num_samples=2)
        numpyro.sample("z", dist.Bernoulli(0.5), infer=infer)

    def plain():
        numpyro.sample("z", dist.Bernoulli(0.5))

    with pytest.raises(ValueError, match="a guide with a discrete site"):
        call(ours.GraphELBO(), continuous, continuous)
    with pytest.raises(ValueError, match="an estimator at the site 'z'"):
        call(ours.GraphELBO(), plain, plain)
    with pytest.raises(ValueError, match="two particles or more for the site 'z'"):
        call(ours.GraphELBO(default=LOO), plain, plain)
    with pytest.raises(TypeError, match="At the site 'z' of the guide"):
        call(ours.GraphELBO(num_particles=2), problem.model, several)
    with pytest.raises(ValueError, match="none of the name 'z'"):
        call(ours.GraphELBO(default=LOO, num_particles=2), plain, lambda: None)
    with pytest.raises(ValueError, match="a guide with a discrete site"):
        call(ours.VimcoELBO(), continuous, continuous)
    with pytest.raises(ValueError, match=r"no estimator at a site .* got one at 'z'"):
        call(ours.VimcoELBO(), plain, several)


def test_errors_of_shapes_and_plates_name_the_site():
    elbo = ours.GraphELBO(default=LOO, num_particles=2)

    def one():
        numpyro.sample("z", dist.Bernoulli(0.5))

    def row():
        numpyro.sample("z", dist.Bernoulli(0.5 * jnp.ones(3)).to_event(1))

    def two():
        one()
        numpyro.sample("more", dist.Bernoulli(0.5))

    def moved():
        shift = dist.transforms.AffineTransform(1.0, 2.0)
        numpyro.sample("z", dist.TransformedDistribution(dist.Bernoulli(0.5), shift))

    def counted():
        numpyro.primitives.mutable("count", 0)
        one()

    def empty():
        with numpyro.plate("rows", 4, subsample_size=0):
            numpyro.sample("z", dist.Bernoulli(0.5))

    def partly():
        with numpyro.plate("rows", 4, subsample_size=2):
            numpyro.sample("z", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Bernoulli(0.5))

    with pytest.raises(ValueError, match="sample 'z' in the model's shape"):
        call(elbo, row, one)
    with pytest.raises(ValueError, match="got 'more' in the guide alone"):
        call(elbo, one, two)
    with pytest.raises(ValueError, match="site 'z' of the guide to be drawn without"):
        call(elbo, moved, moved)
    with pytest.raises(ValueError, match="no mutable state with num_particles=2"):
        call(elbo, one, counted)
    with pytest.raises(ValueError, match="got 'rows' with subsample_size=0"):
        call(elbo, one, empty)
    with pytest.raises(ValueError, match="subsampled plates that enclose all sites"):
        call(ours.VimcoELBO(), partly, partly)


def test_the_centre_is_a_parameter_of_the_guide():
    problem = problems.subsampled(2)
    guide = ours.centred(problem.guide)
    params = problem.params | {"control.z": jnp.zeros(4)}

    def loss(params):
        return ours.GraphELBO().loss(KEY, params, problem.model, guide)

    gradient = jax.jit(jax.grad(loss))(params)
    assert jnp.count_nonzero(gradient["control.z"]) == 2
