"""Experiment trackers: Lightning loggers that a spec names."""
