"""A finite-volume scheme for conservation laws in one, two and three dimensions."""
