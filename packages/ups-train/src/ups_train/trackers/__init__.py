"""Experiment trackers that a spec names; their packages are optional and imported by the factories."""
