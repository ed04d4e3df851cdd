"""Glimpses in sequence: where to look next on a canvas with a digit and clutter."""
