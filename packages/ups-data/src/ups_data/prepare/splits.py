"""Which trajectories are for training, validation and test, and the checks that make this trustworthy.

A trajectory number has the same initial condition (or medium) in the file of every parameter value, so it is
in the same split for all of them: no initial condition leaks, and every split holds every value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from ups_core import UPSError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SEED = 0
TOLERATED_REPEATS = 0.05


class RepeatsError(UPSError):
    """Too many trajectories start like one of another split, so the test would not be one."""


@dataclass(frozen=True)
class Splits:
    """Trajectory numbers of each split, ascending.

    Attributes:
        train: learned from.
        val: selects weights and options.
        test: reported.
        excluded: trajectory in no split -> the trajectory of another split that it repeats.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    excluded: Mapping[int, int] = field(default_factory=dict)

    def __getitem__(self, split: str) -> tuple[int, ...]:
        if split not in SPLITS:
            raise UPSError(f"unknown split '{split}'; splits: {', '.join(SPLITS)}")
        ids: tuple[int, ...] = getattr(self, split)
        return ids

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        excluded = {str(number): other for number, other in self.excluded.items()}
        return {split: list(self[split]) for split in SPLITS} | {"excluded": excluded}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Splits:
        """The inverse of :meth:`to_dict`."""
        excluded = {int(number): other for number, other in data["excluded"].items()}
        return cls(tuple(data["train"]), tuple(data["val"]), tuple(data["test"]), excluded)


def divide(groups: Iterable[int], shares: Mapping[str, float]) -> dict[str, tuple[int, ...]]:
    """Divide groups of trajectories; the same on every machine and in every version.

    Groups are ordered by a hash of their number. Test and validation get their rounded shares, at least one
    group each, training gets the rest.

    Args:
        groups: their numbers.
        shares: of the splits among which they are divided.
    """
    # A hash instead of a random generator: no version of a library can change it, and a larger data set keeps
    # most of its test split.
    order = sorted(groups, key=lambda number: sha256(f"{SEED}/{number}".encode()).digest())
    # All shares add up to 1 but for rounding, which must not decide how a half is rounded.
    total = 1.0 if len(shares) == len(SPLITS) else math.fsum(shares.values())
    count = len(order)
    splits: dict[str, tuple[int, ...]] = {}
    for split in ("test", "val"):
        if split in shares:
            size = max(1, round(count * shares[split] / total))
            splits[split], order = tuple(sorted(order[:size])), order[size:]
    return splits | {"train": tuple(sorted(order))}


def audit_splits(splits: Splits, count: int) -> None:
    """Check that splits are disjoint, complete and not empty.

    Raises:
        UPSError: a split is empty, or a trajectory is in two splits or in none; the message names it.
    """
    home: dict[int, str] = dict.fromkeys(splits.excluded, "excluded")
    for split in SPLITS:
        if not splits[split]:
            raise UPSError(f"the {split} split of {count} trajectories is empty; use more trajectories")
        for number in splits[split]:
            if number in home:
                raise UPSError(f"trajectory {number} is in two splits: {home[number]} and {split}")
            home[number] = split
    stray = set(range(count)) ^ set(home)
    if stray:
        raise UPSError(f"trajectory {min(stray)} is in no split of {count} trajectories, or does not exist")


def exclude_repeats(splits: Splits, hashes: Sequence[Sequence[bytes]]) -> Splits:
    """Remove trajectories that have the same first frame (steady: coefficient) as one of another split.

    Args:
        splits: the splits.
        hashes: for each group, the hash of the first frame of each of its trajectories.

    Raises:
        RepeatsError: more than 5 % repeat, so the samples are not independent; the message names pairs.
    """
    home = {number: split for split in SPLITS for number in splits[split]}
    first: dict[bytes, int] = {}
    repeats: dict[int, int] = {}
    for number in sorted(home):
        for start in hashes[number]:
            earlier = first.setdefault(start, number)
            if home[earlier] != home[number]:
                repeats[number] = earlier
    if len(repeats) > TOLERATED_REPEATS * len(home):
        pairs = [f"{old} ({home[old]}) = {new} ({home[new]})" for new, old in repeats.items()]
        raise RepeatsError(
            f"{len(repeats)} of {len(home)} trajectories start like one of another split: "
            f"{', '.join(pairs[:5])}{', ...' if pairs[5:] else ''}; remove the repeats from the file"
        )
    train, val, test = (
        tuple(number for number in splits[split] if number not in repeats) for split in SPLITS
    )
    return Splits(train, val, test, repeats)
