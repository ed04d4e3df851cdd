"""The built-in distributions."""

from jaxdiscrete.distributions.bernoulli import Bernoulli
from jaxdiscrete.distributions.categorical import OneHotCategorical

__all__ = ["Bernoulli", "OneHotCategorical"]
