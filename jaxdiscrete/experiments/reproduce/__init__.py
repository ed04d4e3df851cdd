"""Experiments of papers: what is claimed, what is measured, and whether it agrees."""
