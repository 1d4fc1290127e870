"""Optimizers: parameter groups, states in checkpoints and in CPU memory, learning-rate schedules."""
