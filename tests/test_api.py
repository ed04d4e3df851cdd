"""What all public names have in common, and what modules may import."""

import doctest
import importlib.metadata
import inspect
import json
import pathlib
import pkgutil
import re
import sys

import pytest

import jaxdiscrete as jd

PUBLIC = sorted(set(jd.__all__) - {"Estimator"})
TRANSFORMS = [
    name
    for name in PUBLIC
    if inspect.isfunction(getattr(jd, name))
    and next(iter(inspect.signature(getattr(jd, name)).parameters)) == "f"
    and name != "recommend"  # which returns one
]
CORE = [
    name
    for _, name, _ in pkgutil.walk_packages(jd.__path__, "jaxdiscrete.")
    # What is made for a library of others imports it.
    if "experiments" not in name and "interop.numpyro" not in name
]


def examples(text):
    return doctest.DocTestParser().get_examples(text)


def test_every_public_name_is_listed_and_exists():
    assert list(jd.__all__) == sorted(jd.__all__)
    assert all(hasattr(jd, name) for name in jd.__all__)
    extra = {n for n in vars(jd) if not n.startswith("_")} - set(jd.__all__)
    modules = {n for n in extra if inspect.ismodule(getattr(jd, n))}
    assert extra == modules


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_share_one_signature(name):
    parameters = inspect.signature(getattr(jd, name)).parameters
    positional = [
        p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert positional[0] == "f"
    learned = {"critic", "surrogate", "control", "mean", "solver"}
    assert set(positional[1:]) <= learned
    assert parameters["has_aux"].default is False


@pytest.mark.parametrize("name", TRANSFORMS)
def test_docstrings_say_what_a_user_must_know(name):
    doc = inspect.getdoc(getattr(jd, name))
    assert re.search(r"\bUnbiased\b|\bunbiased\b|\bBiased\b|\bExact\b", doc)
    assert re.search(r"(calls?|One call) of\s+``f``", doc)
    for section in ("Args:", "Returns:", "Raises:", "Example:"):
        assert section in doc


@pytest.mark.parametrize(
    "name", [n for n in PUBLIC if inspect.isfunction(getattr(jd, n))]
)
def test_docstrings_name_every_argument_and_have_an_example(name):
    fn = getattr(jd, name)
    doc = inspect.getdoc(fn)
    for parameter in inspect.signature(fn).parameters:
        assert re.search(rf"^\s+{parameter}: ", doc, re.MULTILINE)
    assert any(e.want for e in examples(doc))


def test_the_core_needs_jax_numpy_and_optax_alone():
    allowed = {"jax", "numpy", "optax", "jaxdiscrete", *sys.stdlib_module_names}
    for module in ["jaxdiscrete", *CORE]:
        source = inspect.getsource(importlib.import_module(module))
        imported = re.findall(r"^(?:from|import) ([\w.]+)", source, re.MULTILINE)
        assert {name.split(".")[0] for name in imported} <= allowed
        # The class of traced values is public; nothing else there is used.
        private = r"jax\._src|jax\.core\b(?!\.Tracer\b)|jax\.interpreters"
        assert not re.search(private, source)


def test_custom_rules_live_in_one_module():
    for module in ["jaxdiscrete", *CORE]:
        source = inspect.getsource(importlib.import_module(module))
        if module != "jaxdiscrete.core.rules":
            assert not re.search(r"@jax\.custom_|defvjp|defjvp", source)


def test_what_is_installed_is_what_is_tested():
    """An installed wheel, and not the folder that the tests stand in."""
    try:
        installed = importlib.metadata.distribution("jaxdiscrete")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("jaxdiscrete is not installed, so this folder is tested")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("the installed jaxdiscrete is a folder, not a wheel")
    expected = pathlib.Path(installed.locate_file("jaxdiscrete"))
    assert pathlib.Path(jd.__file__).parent.samefile(expected)
