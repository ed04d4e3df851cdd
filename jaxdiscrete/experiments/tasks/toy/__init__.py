"""The toy problem of REBAR and RELAX: one Bernoulli variable, one number to learn."""
