"""Networks of discrete latents, and what training asks of them."""
