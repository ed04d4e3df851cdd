"""Decisions that follow one another, with credit for what came after each."""
