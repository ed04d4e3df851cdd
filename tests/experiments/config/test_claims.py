"""Files with a claim that cannot be used, and what the errors say."""

import pytest

from jaxdiscrete.experiments.config.load import load_experiment
from jaxdiscrete.experiments.errors import UsageError
from tests.experiments.config.files import GRID, RUNS, SEARCH, TOY


def published(**keys):
    keys = {"key": '"a"', "run": '"plain"', "metric": '"test_elbo"'} | keys
    return "[[claim.published]]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items())


def expectation(**keys):
    keys = {"text": '"order"', "metric": '"test_elbo"'} | keys
    lines = "\n".join(f"{k} = {v}" for k, v in keys.items())
    return "[[claim.expectations]]\n" + lines


EXPERIMENT_ERRORS = {
    "no_claim": (
        '[estimators.plain]\nname = "reinforce"',
        "tables claim and estimators",
    ),
    "claim_key": (RUNS + "[claim.x]\n", r"unknown key claim\.x"),
    "claim_number": (
        RUNS.replace("[claim]", "[claim]\nfull_hours = -1"),
        r"claim\.full_hours >= 0, got -1",
    ),
    "claim_type": (
        "claim = 3\n" + RUNS.replace("[claim]", "[x]"),
        "claim to be a table",
    ),
    "short_key": (RUNS.replace("num_steps", "steps"), r"unknown key short\.steps"),
    "short_number": (RUNS.replace("500", "0"), r"short\.num_steps >= 1, got 0"),
    "estimator_key": (
        RUNS + "speed = 1\n",
        r"estimators\.controlled.*estimator\.speed",
    ),
    "estimator_type": (
        RUNS.replace("0.5", '"low"'),
        r"estimators\.controlled.*estimator\.scale to be a number, got 'low'",
    ),
    "estimator_bound": (
        RUNS + "temperature = 0.0\n",
        r"estimators\.controlled: Expected estimator\.temperature > 0, got 0\.0",
    ),
    "estimators_type": ("estimators = 3\n[claim]\n", "estimators to be a table, got 3"),
    "no_estimators": ("[claim]\n[estimators]\n", "at least one .*estimators"),
    "both": (
        RUNS + '[estimator]\nname = "nvil"\n',
        "estimator or estimators, got both",
    ),
    "toy_key": (
        TOY.replace("target", "num_latents = [3]\ntarget"),
        r"unknown key model\.num_latents",
    ),
    "toy_nvil": (
        TOY.replace("reinforce", "nvil"),
        "no baseline of the inputs.*in nvil",
    ),
    "pairs": (
        RUNS.replace('"rebar"\nscale = 0.5', '"disarm"\nnum_samples = 3'),
        r"estimators\.controlled: Expected estimator\.num_samples to be even .*got 3",
    ),
    "grid_classes": (
        GRID.replace("[0.5, 0.0, -0.5]", "[0.5]"),
        r"grid\.logits to be at least 2 numbers, got 1",
    ),
    "grid_number": (GRID.replace("100", "1"), r"grid\.num_gradients >= 2, got 1"),
    "grid_key": (GRID.replace("logits", "logit"), r"unknown key grid\.logit"),
    "grid_and_model": (GRID + "[model]\n", "unknown key model"),
    "grid_estimator": (GRID + "speed = 1\n", r"unknown key estimators\.rebar\.speed"),
    "grid_problem": (
        GRID.replace("[grid]", '[grid]\nproblem = "sine"'),
        r"grid\.problem among cosine, random_search, got 'sine'",
    ),
    "grid_sizes": (
        SEARCH.replace("[4, 16]", "[16, 4]"),
        r"grid\.sizes to be at least 2 growing numbers, got \[16, 4\]",
    ),
    "grid_offset_size": (
        SEARCH.replace("offset_size = 4", "offset_size = 5"),
        r"grid\.offset_size among grid\.sizes \[4, 16\], got 5",
    ),
    "grid_bits": (
        SEARCH.replace('"reinforce"', '"vimco"'),
        r"expectation over bits .*got vimco",
    ),
    "from_step": (
        RUNS + expectation(lower='["plain"]', higher='["controlled"]', from_step="3"),
        r"trajectory = true and metric = 'log_variance' where .*from_step",
    ),
    "standard_errors": (
        RUNS
        + expectation(
            lower='["plain"]', higher='["controlled"]', standard_errors="2.0"
        ),
        r"several seeds .* has standard_errors, got 1 for 'order'",
    ),
    "mean_within": (
        RUNS + expectation(mean_within='["plain"]'),
        r"range to be two numbers where",
    ),
    "ratio": (RUNS + expectation(ratio="0.0"), r"claim\S*ratio > 0, got 0\.0"),
    "published_key": (
        RUNS + published(value="3"),
        r"unknown key claim\.published\S*value",
    ),
    "published_sign": (
        RUNS + published(sign="2"),
        r"published\S*sign among 1, -1, got 2",
    ),
    "published_sign_bool": (
        RUNS + published(sign="true"),
        r"sign among 1, -1, got True",
    ),
    "published_run": (
        RUNS + published(run='"other"'),
        "among plain, contr.*got 'other'",
    ),
    "published_lacks": (
        RUNS + '[[claim.published]]\nrun = "plain"\n',
        r"claim\.published\S*key",
    ),
    "published_bound": (
        RUNS + published(tolerance="-1.0"),
        r"claim\.published\S*tolerance >= 0, got -1",
    ),
    "expected_run": (
        RUNS + expectation(lower='["other"]', higher='["plain"]'),
        "got 'other'",
    ),
    "expected_nothing": (RUNS + expectation(), "lower and higher, or within, in every"),
    "expected_half": (RUNS + expectation(lower='["plain"]'), "neither pair nor range"),
    "expected_no_range": (
        RUNS + expectation(within='["plain"]'),
        r"range to be two numbers where claim\.expectations has within, got \[\]",
    ),
    "expected_range": (
        RUNS + expectation(within='["plain"]', range="[1.0]"),
        r"range to be two numbers .*got \[1\.0\]",
    ),
    "short_block": (RUNS.replace("500", "750"), r"multiple of the steps_per_block 500"),
    "short_run": (RUNS.replace("500", '500\nruns = ["other"]'), "got 'other'"),
    "driver": (RUNS.replace("500", '500\nshared_trajectory = "other"'), "got 'other'"),
    "driver_not_followed": (
        RUNS.replace(
            "500", '500\nshared_trajectory = "plain"\ntrajectory_runs = ["controlled"]'
        ),
        "trajectory_runs.*'plain'",
    ),
    "expected_not_run": (
        RUNS.replace("500", '500\nruns = ["plain"]')
        + expectation(lower='["controlled"]', higher='["plain"]'),
        r"claim\.expectations.*'controlled'",
    ),
    "expected_no_trajectory": (
        RUNS + expectation(lower='["plain"]', higher='["plain"]', trajectory="true"),
        "shared_trajectory",
    ),
    "expected_not_followed": (
        RUNS.replace(
            "500", '500\nshared_trajectory = "plain"\ntrajectory_runs = ["plain"]'
        )
        + expectation(
            lower='["controlled"]',
            higher='["plain"]',
            trajectory="true",
            metric='"log_variance"',
        ),
        r"claim\.expectations.*'controlled'",
    ),
}


@pytest.mark.parametrize("which", EXPERIMENT_ERRORS)
def test_errors_in_a_claim_and_its_runs(write, which):
    text, message = EXPERIMENT_ERRORS[which]
    path = write(text)
    with pytest.raises(UsageError, match=message) as info:
        load_experiment(path)
    assert str(info.value).startswith(f"{path}: ")
    assert "\n" not in str(info.value)
