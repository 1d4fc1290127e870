"""One step of a simulator as a program of its own, which runs without UPS."""
