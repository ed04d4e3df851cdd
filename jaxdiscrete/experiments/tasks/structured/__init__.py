"""Lower halves of images from upper halves, through layers of discrete latents."""
