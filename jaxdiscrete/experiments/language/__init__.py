"""Models of sentences, and what judges samples of them."""
