"""The source `generate`: data of our own generators in the layout of the official files."""

from __future__ import annotations

import os
from pathlib import Path

from ups_core import DataPlan, UPSError
from ups_core.console import Console
from ups_core.files import check_room
from ups_core.fingerprint import digest
from ups_core.reading import UnsoundFile
from ups_core.sums import FileSum, check_size
from ups_data.sources.config import GenerateConfig
from ups_data.sources.request import Request
from ups_data.stores.checksums import SUFFIX, check_noted, noted_sum

ALREADY_GENERATED = "already generated"
"""Note of a plan whose files are there."""


class Generate:
    """Files below `<data_root>/generated/`, shared by all runs that ask for the same data."""

    def __init__(self, config: GenerateConfig) -> None:
        self.config = config

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """See :class:`~ups_data.sources.base.Source`.

        Raises:
            UPSError: the task has no generator, or none that is accurate for its options.
        """
        if request.generation is None:
            raise UPSError(f"'{request.family}' has no generator; use source: official")
        if request.generation.limit:
            raise UPSError(f"'{request.family}' cannot be generated: {request.generation.limit}")
        seed = self.config.seed
        # Without the parameter values: a later spec with more of them finds the files that are there.
        folder = digest(request.generated_identity(seed))[:12]
        directory = data_root / "generated" / f"{request.family}-{folder}"
        files = tuple(directory / file.name for file in request.files)
        missing = tuple(path for path in files if _problem(path, quick=True))
        identity = [request.generated_identity(seed, file) for file in request.files]
        return DataPlan(
            fingerprint=digest(["generated", identity]),
            source="generated",
            files=files,
            missing=missing,
            note=_remaining_work(missing, request),
        )

    def provide(self, request: Request, plan: DataPlan, console: Console) -> int:
        """Generate the missing files, and those again that do not match their checksums."""
        from ups_data.sources.writing import write_file  # needs numpy, which planning must not import

        if plan.missing:
            what = f"{len(plan.missing)} files" if len(plan.missing) > 1 else plan.missing[0].name
            check_room(plan.missing[0].parent, len(plan.missing) * request.nbytes, what)
        created = 0
        for file, path in zip(request.files, plan.files, strict=True):
            problem = _problem(path, quick=False)
            if problem:
                if os.path.lexists(path):
                    console.say(f"{problem}; it is generated again", style="yellow")
                write_file(request, file, self.config.seed, path, console)
                created += 1
        return created


def _problem(path: Path, *, quick: bool) -> str | None:
    """Why a generated file cannot be used, by its content or, quick, by its size; None if it is sound."""
    try:
        noted = noted_sum(path)
        if noted is None:
            return f"{path} has no checksum ({SUFFIX})"
        if quick:
            check_size(path, FileSum(noted.bytes, noted.full))
        else:
            check_noted(path, noted)
    except UnsoundFile as error:
        return str(error)
    return None


def _remaining_work(missing: tuple[Path, ...], request: Request) -> str:
    if not missing:
        return ALREADY_GENERATED
    count = f"{len(missing)} file" + ("s" if len(missing) > 1 else "")
    return f"{count} to generate, {len(missing) * request.nbytes / 1e6:.1f} MB"
