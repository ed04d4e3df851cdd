"""Images of which a few have labels, and a class that is latent elsewhere."""
