"""Configuration files: their runs, and the claims that these check."""
