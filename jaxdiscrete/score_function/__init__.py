"""One sample, its score, and a control variate."""
