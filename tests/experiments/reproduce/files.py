"""Files with small claims, and the command that reproduces them."""

import json

PUBLISHED = {
    "a/plain": {
        "paper": "Tiny",
        "experiment": "two estimators",
        "dataset": "digits",
        "model": "two latents",
        "estimator": "plain",
        "value": 40.0,
        "stderr": None,
        "metric": "negative ELBO (nats)",
        "table": "Table 1",
        "source": "a paper",
        "note": "",
    }
}
FILE = """
[claim]
paper = "Tiny"
title = "Two estimators"
notes = ["Shorter."]

[[claim.published]]
key = "a/plain"
run = "plain"
metric = "test_elbo"
sign = -1
step = 4
tolerance = 100.0

[[claim.published]]
key = "a/plain"
run = "plain"
metric = "test_elbo"

[[claim.expectations]]
text = "The mean varies less"
metric = "log_variance"
lower = ["even"]
higher = ["plain"]
trajectory = true

[[claim.expectations]]
text = "An ELBO is positive"
metric = "test_elbo"
within = ["plain"]
range = [0.0, 100.0]

[short]
runs = ["plain"]
num_steps = 4
num_seeds = 2
num_test_examples = 20
num_samples = 2
shared_trajectory = "plain"
trajectory_steps = 4

[model]
num_latents = [2]

[training]
num_steps = 8
batch_size = 450
steps_per_block = 2
blocks_per_checkpoint = 1

[evaluation]
num_examples = 20
num_samples = 2
num_test_examples = 20

[estimators.plain]
name = "reinforce"

[estimators.even]
name = "mean_field"
"""
TOY = """
[claim]
title = "Toy"

[[claim.published]]
key = "a/plain"
run = "exact"
metric = "theta"
step = 6
tolerance = 1000.0

[[claim.published]]
key = "a/plain"
run = "exact"
metric = "theta"
step = 7
tolerance = 1000.0

[[claim.expectations]]
text = "The exact gradient finds the optimum"
metric = "theta"
within = ["exact"]
range = [0.0, 0.5]

[short]
num_seeds = 2
num_steps = 40

[model]
task = "toy"
target = 0.2
num_gradients = 2

[training]
num_steps = 40
batch_size = 1
steps_per_block = 2

[optimizer]
name = "sgd"
learning_rate = 1.0

[estimators.exact]
name = "exact"
"""


def write_configs(folder, text=FILE):
    (folder / "paper").mkdir(parents=True, exist_ok=True)
    path = folder / "paper" / "tiny.toml"
    path.write_text(text)
    (folder / "published.json").write_text(json.dumps(PUBLISHED))
    return path


def command(folder, *extra):
    return [
        "reproduce",
        "paper/tiny",
        "--configs",
        str(folder / "configs"),
        "--output-dir",
        str(folder / "out"),
        "--summaries",
        str(folder / "summaries"),
        "--short",
        *extra,
    ]
