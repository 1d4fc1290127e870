"""Writes generated data in the layout of the official PDEBench files, completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_core.files import replacing
from ups_core.fingerprint import digest
from ups_core.references import load_object
from ups_data.stores.checksums import note_sum
from ups_data.stores.pdebench import GENERATOR_ATTRIBUTE, Family, Request

BLOCK = 64
"""Trajectories generated and written at once."""


class Generator(Protocol):
    """Generates the datasets of one file.

    Trajectory i depends on the seed and i only, never on the number of trajectories, so a longer file starts
    like a shorter one.
    """

    def __call__(
        self, request: Request, value: float, seed: int, start: int, stop: int
    ) -> Mapping[str, NDArray[np.float32]]:
        """Trajectories start..stop-1 for one parameter value: dataset name -> `(stop - start, ...)`."""
        ...


def load_generator(family: Family) -> Generator:
    """Import the family's generator."""
    generator: Generator = load_object(family.generator)
    return generator


def write_file(request: Request, value: float, seed: int, path: Path, console: Console) -> None:
    """Generate the file of one parameter value at `path`, and its checksum beside it.

    The file is written under a temporary name and renamed, so concurrent writers of one file are harmless.

    Args:
        request: the task's data.
        value: the parameter value.
        seed: of the initial conditions or coefficients.
        path: the file; replaced if it exists.
        console: shows progress.

    Raises:
        UPSError: the file cannot be written.
    """
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            # Attributes first: `sources.official` recognises generated files by the head of the file.
            write_attributes(file, request, value, seed)
            write_coordinates(file, request)
            _write_fields(file, request, value, seed, path.name, console)
        note_sum(path)
    except OSError as error:
        raise UPSError(f"cannot write {path} ({request.nbytes / 1e6:.1f} MB): {error}") from error


def write_attributes(file: h5py.File, request: Request, value: float, seed: int) -> None:
    """Write the parameter as PDEBench does, and what generated the file."""
    family = request.family
    file.attrs[GENERATOR_ATTRIBUTE] = f"{family.generator} version {family.version}"
    file.attrs["ups_fingerprint"] = digest(request.generated_identity(seed, value))
    file.attrs["ups_seed"] = seed
    file.attrs[family.parameter] = value


def write_coordinates(file: h5py.File, request: Request) -> None:
    """Write coordinates as PDEBench does: `t-coordinate` is one longer than the time axis of the fields."""
    for axis in request.family.axes:
        file[axis] = np.asarray(request.axis, dtype=np.float32)
    if request.family.dt:
        file["t-coordinate"] = np.asarray(request.times(request.frames + 1), dtype=np.float32)


def _write_fields(
    file: h5py.File, request: Request, value: float, seed: int, what: str, console: Console
) -> None:
    generate = load_generator(request.family)
    with console.progress(f"generating {what}", request.trajectories) as advance:
        for start in range(0, request.trajectories, BLOCK):
            stop = min(start + BLOCK, request.trajectories)
            for key, block in generate(request, value, seed, start, stop).items():
                # The generator decides which datasets there are, so they are created with the first block.
                dataset = file.require_dataset(key, (request.trajectories, *block.shape[1:]), np.float32)
                dataset[start:stop] = block
            advance(stop - start)
