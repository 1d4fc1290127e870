"""Numbers that the losses share."""

EPSILON = 1e-6
"""Added to the mean square of the target: a field that equals the mean everywhere has no scale. Of physical
fields, which may have any unit, relative to the mean over the batch."""
TINY = 1e-12
"""Added under a root, because its slope at zero is infinite."""
