"""The latent operator: codec, conditioning, linear propagator, trunks, and the network that joins them."""
