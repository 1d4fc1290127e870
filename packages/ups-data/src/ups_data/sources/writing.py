"""Writes generated data in the layout of a task's files, completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from ups_core import UPSError
from ups_core.console import Console
from ups_core.files import check_room, replacing
from ups_core.fingerprint import digest
from ups_core.references import load_object
from ups_data.info import TaskInfo
from ups_data.sources.request import GENERATOR_ATTRIBUTE, DataFile, Request
from ups_data.stores.base import Fields
from ups_data.stores.checksums import note_sum
from ups_data.stores.layout import Writer


class Generator(Protocol):
    """Computes trajectories of a task.

    Trajectory i depends on the problem, the seed and i only, never on the number of trajectories, so a longer
    file starts like a shorter one.
    """

    def __call__(
        self, info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int
    ) -> Fields:
        """Trajectories start..stop-1, float32, on the grid and at the times of `info`.

        Args:
            info: the problem.
            parameters: values of one file, by the names of its attributes.
            seed: of the initial conditions or media.
            start: number of the first trajectory.
            stop: number after the last one.
        """
        ...


def load_generator(reference: str) -> Generator:
    """Import a generator, given as `"module:function"`."""
    generator: Generator = load_object(reference)
    return generator


def write_file(request: Request, wanted: DataFile, seed: int, path: Path, console: Console) -> None:
    """Generate a file at `path`, and its checksum beside it.

    The file is written under a temporary name and renamed, so concurrent writers of one file are harmless.

    Args:
        request: the task's data.
        wanted: the file.
        seed: of the initial conditions or coefficients.
        path: where; replaced if it exists.
        console: shows progress.

    Raises:
        UPSError: the file cannot be generated or written.
    """
    generation = request.generation
    layout: Writer = request.layout.create()
    if generation is None or not hasattr(layout, "write"):
        raise UPSError(f"{wanted.name} cannot be generated: '{request.family}' has no generator")
    if generation.limit:
        raise UPSError(f"{wanted.name} cannot be generated: {generation.limit}")
    check_room(path.parent, request.nbytes, wanted.name)
    attributes = {
        GENERATOR_ATTRIBUTE: f"{generation.function} version {generation.version}",
        "ups_fingerprint": digest(request.generated_identity(seed, wanted)),
        "ups_seed": seed,
        **wanted.parameters,
    }
    try:
        with replacing(path) as temporary:
            blocks = _blocks(request, wanted, seed, path.name, console)
            layout.write(temporary, request.info, attributes, request.trajectories, blocks)
        note_sum(path)
    except OSError as error:
        raise UPSError(f"cannot write {path} ({request.nbytes / 1e6:.1f} MB): {error}") from error


def _blocks(request: Request, wanted: DataFile, seed: int, what: str, console: Console) -> Iterator[Fields]:
    assert request.generation is not None
    generate = load_generator(request.generation.function)
    with console.progress(f"generating {what}", request.trajectories) as advance:
        for start in range(0, request.trajectories, request.generation.block):
            stop = min(start + request.generation.block, request.trajectories)
            yield generate(request.info, wanted.parameters, seed, start, stop)
            advance(stop - start)
