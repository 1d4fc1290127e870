"""Small tasks without data files, under short names."""

from __future__ import annotations

from ups_models.testing import toy_batch as batch_of
from ups_models.testing import toy_evolution as evolution
from ups_models.testing import toy_statistics as statistics
from ups_models.testing import toy_steady as steady

__all__ = ["batch_of", "evolution", "statistics", "steady"]
