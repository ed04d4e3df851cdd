"""Texts of files with a claim: runs, a toy, and grids."""

RUNS = """
[claim]
title = "Two runs"

[short]
num_steps = 500

[estimators.plain]
name = "reinforce"

[estimators.controlled]
name = "rebar"
scale = 0.5
"""

TOY = (
    '[claim]\n[model]\ntask = "toy"\ntarget = 0.4\n'
    '[estimators.plain]\nname = "reinforce"\n'
)

GRID = """
[claim]
[[claim.expectations]]
text = "unbiased"
metric = "bias"
within = ["rebar_0.5"]
range = [0.0, 1.0]
[grid]
logits = [0.5, 0.0, -0.5]
temperatures = [0.5, 2.0]
num_gradients = 100
[estimators.plain]
name = "reinforce"
[estimators.relaxed]
name = "gumbel_softmax"
[estimators.rebar]
name = "rebar"
"""

SEARCH = """
[claim]
[[claim.expectations]]
text = "grows"
metric = "exponent"
within = ["plain"]
range = [1.4, 1.6]
[grid]
problem = "random_search"
sizes = [4, 16]
offset_size = 4
[estimators.plain]
name = "reinforce"
"""
