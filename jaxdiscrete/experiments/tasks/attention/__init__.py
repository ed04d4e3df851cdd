"""Hard attention: which pixels of an image a classifier needs to see."""
