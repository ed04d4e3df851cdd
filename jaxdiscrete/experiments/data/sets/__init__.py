"""One module per data set: its source, its reader and its split, as ``INFO``."""
