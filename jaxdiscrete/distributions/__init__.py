"""The built-in distributions."""

from jaxdiscrete.distributions.bernoulli import Bernoulli
from jaxdiscrete.distributions.categorical import OneHotCategorical
from jaxdiscrete.distributions.subset import Subset

__all__ = ["Bernoulli", "OneHotCategorical", "Subset"]
