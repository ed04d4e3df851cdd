"""Runs from folder to results: one, several side by side, together, or measured."""
