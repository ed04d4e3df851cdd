"""Several samples that depend on one another."""
