"""Several independent samples, and a signal made from all of them."""
