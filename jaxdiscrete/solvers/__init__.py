"""Scores, a solver that is a black box, and decisions."""
