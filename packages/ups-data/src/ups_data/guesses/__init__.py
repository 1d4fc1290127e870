"""Guesses what the arrays of a file are: fields, coordinates, axes, boundaries."""
