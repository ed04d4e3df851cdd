"""f differentiated through a sample."""
