"""The signatures of all estimators against docs/developer/design_principles.md."""

import importlib
import inspect
import pkgutil

import jax
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS, EVERY_SAMPLE
from jaxdiscrete.core.needs import SOLVER

#: What an estimator may be told, and the default that the name has wherever it stands;
#: REQUIRED where there is none, a tuple where the page allows several.
REQUIRED = inspect.Parameter.empty
OPTIONS = {
    "num_samples": (REQUIRED, 1, 2),
    "num_states": (REQUIRED,),
    "num_noise": (REQUIRED,),
    "max_states": (65_536,),
    "chunk_size": (None,),
    "sharding": (None,),
    "has_aux": (False,),
    "baseline": (None,),
    "scale": (1.0, REQUIRED),
    "value_scale": (1.0,),
    "linear_scale": (1.0,),
    "quadratic_scale": (1.0,),
    "noise_scale": (1.0,),
    "temperature": (REQUIRED, 1.0),
    "forward_temperature": (REQUIRED,),
    "backward_temperature": (REQUIRED,),
    "slope": (1.0,),
    "gap": (1.0,),
    "step_size": (REQUIRED,),
    "centre": (None,),
    "variance": (None,),
    "weighted_value": (REQUIRED,),
    "weight": (REQUIRED,),
    "relaxed_f": (None,),
    # Functions, which have a public name of their own.
    "copula": (jd.dirichlet_copula,),
    "relaxation": (jd.concrete_relaxation,),
    "conditional_noise": (jd.tied_noise,),
    "noise": (jd.noise.sample_gumbel, "a perturbation of optax"),
}
LEARNED = {"critic", "surrogate", "control", "mean", "solver"}
#: f runs at points that q determines, so there is no axis of samples to place.
DETERMINED = {"exact", "local_expectation", "measure_valued"}
SEVERAL = {"multi_sample", "coupled", "bounds"}
NAMES = sorted(ESTIMATORS)
everything = pytest.mark.parametrize("name", NAMES)


def find(name):
    found = jd
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(name):
    return inspect.signature(find(name)).parameters


def options(name):
    return {p.name: p for p in parameters(name).values() if p.kind is p.KEYWORD_ONLY}


def is_of_several_samples(name):
    facts = ESTIMATORS[name]
    return facts.family in SEVERAL or "K" in facts.calls.formula


def test_every_transform_of_the_public_lists_has_facts():
    def takes_an_objective(name, module):
        found = getattr(module, name)
        if not inspect.isfunction(found):
            return False
        return next(iter(inspect.signature(found).parameters)) in ("f", "log_weight")

    flat = {n for n in jd.__all__ if takes_an_objective(n, jd)} - {"recommend"}
    bounds = {n for n in vars(jd.bounds) if takes_an_objective(n, jd.bounds)}
    assert flat | {f"bounds.{n}" for n in bounds} == set(ESTIMATORS)


@everything
def test_facts_name_the_package_that_holds_the_estimator(name):
    facts = ESTIMATORS[name]
    assert facts.name == name
    package = find(name).__module__.split(".")[1]
    # A namespace may gather what stands in the package of its mechanism.
    assert facts.family in (package, name.split(".")[0])
    assert facts.reference or name == "mean_field"
    assert facts.family in {module.name for module in pkgutil.iter_modules(jd.__path__)}
    importlib.import_module(f"jaxdiscrete.{facts.family}")


@everything
def test_f_comes_first_then_what_is_learned_and_the_rest_by_keyword(name):
    first, *others = parameters(name).values()
    assert first.name == ("log_weight" if name.startswith("bounds.") else "f")
    positional = [p.name for p in others if p.kind is not p.KEYWORD_ONLY]
    assert set(positional) <= LEARNED
    assert all(p.default is p.empty for p in others if p.name in LEARNED)


@everything
def test_options_have_the_names_and_defaults_of_the_rule(name):
    for option, parameter in options(name).items():
        assert option in OPTIONS, f"{option} is not in the rule of names"
        default, allowed = parameter.default, OPTIONS[option]
        if option == "noise" and not inspect.isfunction(default):
            default = "a perturbation of optax"
        assert any(default is a or default == a for a in allowed), (
            f"{option} has the default {default!r}, others have {allowed}"
        )
        assert not isinstance(default, str) or option == "noise"


@everything
def test_no_flag_and_no_string_selects_the_mathematics(name):
    for option, parameter in options(name).items():
        annotation = str(parameter.annotation)
        assert "str" not in annotation.split(" | ")
        assert ("bool" in annotation) == (option == "has_aux")


@everything
def test_has_aux_is_the_last_option_of_every_estimator(name):
    assert list(parameters(name))[-1] == "has_aux"


@everything
def test_num_samples_is_there_where_the_user_chooses_the_calls_of_f(name):
    facts = ESTIMATORS[name]
    if facts.calls is EVERY_SAMPLE:
        assert "num_samples" in options(name)
    elif "K" in facts.calls.formula:
        assert "num_states" in options(name)
    else:
        assert not {"num_samples", "num_states"} & set(options(name))


@everything
def test_chunks_and_shardings_are_there_for_several_evaluations_only(name):
    has = {"chunk_size", "sharding"} & set(options(name))
    if name in DETERMINED:
        assert has == {"chunk_size"}
    elif is_of_several_samples(name):
        assert has == {"chunk_size", "sharding"}
    else:
        assert not has


@everything
def test_only_a_baseline_and_its_kin_may_be_none(name):
    may_be_none = {"baseline", "centre", "variance", "relaxed_f"}
    may_be_none |= {"chunk_size", "sharding"}
    for option, parameter in options(name).items():
        is_optional = "None" in str(parameter.annotation).split(" | ")
        assert (parameter.default is None) == is_optional == (option in may_be_none)


@everything
def test_a_baseline_has_the_public_type(name):
    if "baseline" not in options(name):
        return
    annotation = options(name)["baseline"].annotation
    if "nvil" in name:  # which is least squares by definition
        assert annotation == "ArrayLike | Callable[..., ArrayLike] | None"
    else:
        assert annotation == "Baseline | None"


def test_scale_is_required_where_one_is_no_sensible_start():
    required = {
        name
        for name in NAMES
        if options(name).get("scale") and options(name)["scale"].default is REQUIRED
    }
    assert required == {"double_cv"}


@everything
def test_an_estimate_takes_the_key_first_then_q(name):
    transform, first = find(name), next(iter(parameters(name)))
    given = {first: lambda z: jax.numpy.zeros(())}
    for p in list(parameters(name).values())[1:]:
        if p.default is p.empty:
            given[p.name] = 2 if p.name.startswith("num_") else 1.0
    given |= {name: (lambda *args: 0.0) for name in LEARNED & set(parameters(name))}
    estimate = transform(
        *[given.pop(n) for n in list(given) if n == first or n in LEARNED], **given
    )
    assert list(inspect.signature(estimate).parameters) == ["key", "q", "args"] or (
        ESTIMATORS[name].needs is SOLVER
    )


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (jd.monte_carlo, {"num_repeats", "chunk_size", "sharding", "has_aux"}),
        (jd.value_and_moments, {"has_aux"}),
        (
            jd.measure,
            {
                "num_gradients",
                "num_oracle_gradients",
                "max_states",
                "chunk_size",
                "f",
                "oracle",
            },
        ),
        (
            jd.testing.assert_unbiased,
            {"num_gradients", "k_sigma", "detectable_bias", "chunk_size"},
        ),
    ],
)
def test_what_takes_estimates_counts_in_its_own_words(function, names):
    by_keyword = {
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    assert by_keyword == names


def test_a_key_comes_first_and_is_called_key():
    public = [getattr(jd, name) for name in jd.__all__]
    public += [getattr(jd.noise, name) for name in jd.noise.__all__]
    for found in [*public, jd.testing.assert_unbiased]:
        if not inspect.isfunction(found):
            continue
        taken = list(inspect.signature(found).parameters)
        if "key" in taken:
            before = taken[: taken.index("key")]
            # What a diagnostic looks at comes before the call that it makes.
            assert before in ([], ["estimators"], ["estimate", "oracle"])
