"""Bayesian logistic regression: a Gaussian of the weights, and nothing discrete."""
