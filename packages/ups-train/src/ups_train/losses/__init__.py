"""Losses on normalised fields."""
