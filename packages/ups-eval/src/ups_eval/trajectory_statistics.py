"""What every trajectory contributes to a metric, and how the metric follows from it; numpy alone.

`statistics.npz` stores these numbers beside `metrics.json`, so that anybody can compute every number of a run
again, without a GPU, torch or the data.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ups_core.files import replacing
from ups_core.reading import UnsoundFile, open_regular

FILE = "statistics.npz"
Reduction = Literal["mean", "root_mean", "max", "ratio", "log_ratio", "flatness"]
"""How a metric follows from values `(n, ...)` of n trajectories: `mean` over all; `root_mean`, the mean of
the roots of means over trajectories; `max`, the mean of maxima over trajectories. With a last axis of pairs:
`ratio`, the mean of the roots of ratios of means over trajectories; `log_ratio`, the mean size of the decimal
logarithms of such ratios. With a last axis of K shares: `flatness`, their means' reduced chi-square."""
Values = NDArray[np.float64]
MAX_BYTES = 256 * 1024**2
"""Limit of the values of one metric, task and model; those of a larger one are not kept."""
PIECE = 2**22
"""Values per piece where many sets of trajectories are reduced at once."""
FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def reduce_values(values: Values, reduction: Reduction) -> float:
    """The metric of trajectories with values `(n, ...)`: NaN without any, infinite if one is not finite."""
    if not values.size:
        return math.nan
    if not np.isfinite(values).all():
        return math.inf
    if reduction == "max":
        return float(values.max(axis=0).mean())
    weights = np.full((1, len(values)), 1 / len(values))
    return float(reduce_draws(values, reduction, weights)[0])


def reduce_draws(values: Values, reduction: Reduction, weights: Values) -> Values:
    """The metric of `d` weighted sets of trajectories, `(d,)`, from values `(n, ...)`.

    Args:
        values: of every trajectory.
        reduction: see :func:`reduce_values`.
        weights: of the trajectories in every set `(d, n)`; rows add up to one.
    """
    if not np.isfinite(values).all():
        return np.full(len(weights), math.inf)
    if reduction == "max":
        return np.array([values[row > 0].max(axis=0).mean() for row in weights])
    if reduction == "mean":
        means: Values = weights @ values.reshape(len(values), -1).mean(axis=1)
        return means
    flat = values.reshape(len(values), -1)
    if reduction == "flatness":
        bins = values.shape[-1]
        shares = weights @ flat
        uneven: Values = len(values) * bins * ((shares - 1 / bins) ** 2).sum(axis=1) / (bins - 1)
        return uneven
    # In pieces: the means of all sets at once may not fit in memory.
    width = max(2, PIECE // len(weights) // 2 * 2)
    sums, count = np.zeros(len(weights)), 0
    for begin in range(0, flat.shape[1], width):
        terms = _terms(weights @ flat[:, begin : begin + width], reduction)
        sums, count = sums + terms.sum(axis=1), count + terms.shape[1]
    return sums / count


def _terms(means: Values, reduction: Reduction) -> Values:
    """What is averaged over frames, channels and wavenumbers, `(d, k)`, from means over trajectories."""
    if reduction == "root_mean":
        return np.sqrt(means)
    above, below = means[:, ::2], means[:, 1::2]
    with np.errstate(divide="ignore", invalid="ignore"):
        if reduction == "ratio":  # where nothing varies and nothing errs, the spread is right
            return np.where(below == above, 1.0, np.sqrt(above / below))
        same = above == below  # also where both are zero
        return np.where(same, 0.0, np.abs(np.log10(above / below)))


def frame_means(errors: Values) -> list[float]:
    """The error of every frame, mean over trajectories and channels, from errors `(n, T, C)`."""
    return [float(mean) for mean in errors.mean(axis=(0, 2))]


def trajectory_means(errors: Values) -> list[float]:
    """The error of every trajectory, mean over frames and channels, from errors `(n, T, C)`."""
    return [float(mean) for mean in errors.mean(axis=(1, 2))]


def write_statistics(path: Path, arrays: Mapping[str, Values]) -> None:
    """Write arrays by name, uncompressed, with the same bytes for the same numbers."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", FIXED_TIME), buffer.getvalue())


def read_statistics(path: Path) -> dict[str, Values]:
    """Arrays by name. Raises :class:`UnsoundFile`, also for an array that is not of float64."""
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                # An uncompressed archive cannot be larger than it looks.
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ValueError("an entry is compressed")
                arrays: dict[str, Any] = {}
                for entry in archive.infolist():
                    with archive.open(entry) as content:
                        array = np.lib.format.read_array(content, allow_pickle=False)
                    if array.dtype != np.float64:
                        raise ValueError(f"{entry.filename} has type {array.dtype}")
                    arrays[entry.filename.removesuffix(".npy")] = array
        # RuntimeError: encrypted entries, and as NotImplementedError unknown methods of compression.
        except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            raise UnsoundFile(path, f"is not a file of statistics ({error})") from None
    return arrays
