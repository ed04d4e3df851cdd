"""Measurements of estimators at an objective, and advice which one to use."""
