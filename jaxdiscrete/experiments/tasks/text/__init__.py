"""A generator of sentences that is trained by rewards: constant, random, adversarial."""
