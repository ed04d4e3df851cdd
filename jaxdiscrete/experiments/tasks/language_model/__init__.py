"""A language model that is trained by the likelihood of real sentences."""
