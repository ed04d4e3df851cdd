"""Other people's distributions and functions."""
