"""The losses of NumPyro's SVI for guides with discrete sites. Needs numpyro."""

from jaxdiscrete.interop.numpyro.credit import by_program_order, by_provenance
from jaxdiscrete.interop.numpyro.estimators import (
    centred,
    estimator,
    leave_one_out,
)
from jaxdiscrete.interop.numpyro.graph_elbo import GraphELBO
from jaxdiscrete.interop.numpyro.optimizers import labels, two_optimizers
from jaxdiscrete.interop.numpyro.vimco_elbo import VimcoELBO

__all__ = [
    "GraphELBO",
    "VimcoELBO",
    "by_program_order",
    "by_provenance",
    "centred",
    "estimator",
    "labels",
    "leave_one_out",
    "two_optimizers",
]
