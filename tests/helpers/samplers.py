"""Samplers that offer as little as a sampler may."""

import jaxdiscrete as jd


class BareSampler:
    """Two Bernoullis that offer sample and log_prob and nothing else."""

    def __init__(self, logits):
        self.logits = logits

    def sample(self, key):
        return jd.Bernoulli(self.logits).sample(key)

    def log_prob(self, z):
        return jd.Bernoulli(self.logits).log_prob(z)
