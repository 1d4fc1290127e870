"""Optimizers: which parameter is whose, state in checkpoints and on the host, learning-rate schedules."""
