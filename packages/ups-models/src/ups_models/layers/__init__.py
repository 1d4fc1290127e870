"""Layers shared by the models, for grids of one, two or three dimensions."""
