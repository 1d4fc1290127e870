"""Splits of a few long trajectories: parts of their time, with gaps between."""

from __future__ import annotations

from ups_core import UPSError
from ups_data.info import TaskInfo
from ups_data.tasks.files_config import FilesConfig


def gap_of(config: FilesConfig) -> int:
    """Frames between parts of the time: as given, or those of a window of one step."""
    gap = config.split.gap
    return config.history + 1 if gap is None else gap


def time_parts(config: FilesConfig, info: TaskInfo) -> dict[str, tuple[int, int]]:
    """Split -> first frame and end of its part of the time.

    Raises:
        UPSError: a part is too short for one step.
    """
    shares, gap = config.split.shares(), gap_of(config)
    usable = info.frames - 2 * gap
    sizes = {split: round(usable * shares[split]) for split in ("val", "test")}
    sizes = {"train": usable - sum(sizes.values()), **sizes}
    short = [split for split, size in sizes.items() if size <= info.history]
    if short:
        raise UPSError(
            f"task '{info.name}': {info.frames} frames less two gaps of {gap} leave {sizes[short[0]]} for "
            f"{short[0]}, too few for history {info.history}; use more frames, a smaller gap or other shares"
        )
    ranges, start = {}, 0
    for split in ("train", "val", "test"):
        ranges[split] = (start, start + sizes[split])
        start += sizes[split] + gap
    return ranges
