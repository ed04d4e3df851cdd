"""Training runs and studies on top of the library, and their command line."""
