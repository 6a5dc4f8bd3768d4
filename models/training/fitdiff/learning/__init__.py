"""Networks, training and evaluation of the latent diffusion model of faces."""
