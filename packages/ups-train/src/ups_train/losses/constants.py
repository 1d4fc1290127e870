"""Numbers that the losses share."""

EPSILON = 1e-6
"""Added to the mean square of the target: a field that equals the mean everywhere has no scale."""
TINY = 1e-12
"""Added under a root, because its slope at zero is infinite."""
