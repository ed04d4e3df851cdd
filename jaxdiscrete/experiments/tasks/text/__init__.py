"""A generator of sentences, trained by constant, random or adversarial rewards."""
