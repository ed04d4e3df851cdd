"""What tasks with layers of discrete latents share: model, loss and bounds."""
