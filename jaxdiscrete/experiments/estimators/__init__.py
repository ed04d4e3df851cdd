"""Every gradient estimator as one struct, in modules by mechanism as in the library."""
