"""The latent operator: codec, conditioning, trunk, and the network that joins them."""
