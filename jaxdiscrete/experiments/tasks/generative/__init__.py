"""Images from a prior, through layers of discrete latents."""
