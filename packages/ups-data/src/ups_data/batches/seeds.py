"""Seeds from coordinates: a number for every (seed, purpose, step, ...) instead of a restored random stream.

A run that resumes at step n draws what an uninterrupted run draws there.
"""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *coordinates: int | str) -> int:
    """A 63-bit seed that is a pure function of its arguments."""
    text = "/".join(map(str, (seed, *coordinates)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def coin(seed: int, *coordinates: int | str) -> bool:
    """True for half of all coordinates, as a pure function of its arguments."""
    return bool(derive_seed(seed, *coordinates) & 1)
