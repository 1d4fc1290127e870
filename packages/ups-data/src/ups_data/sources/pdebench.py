"""Where a task's files come from: official PDEBench files under the data root, or our own generator.

Planning reads file heads at most and imports neither h5py nor numpy.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from ups_core import DataPlan, SourceConfig, UPSError
from ups_core.console import Console
from ups_core.fingerprint import digest
from ups_data.stores.pdebench import Family, Request

BLOCKS = 16
BLOCK_BYTES = 64 * 1024
GENERATOR_ATTRIBUTE = "ups_generator"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Source(Protocol):
    """What a `sources` component creates."""

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """Locate the files for a request, one for each parameter value; never writes.

        Raises:
            UPSError: the source cannot give these data.
        """
        ...

    def provide(self, request: Request, plan: DataPlan, console: Console) -> None:
        """Create the plan's missing files."""
        ...


class OfficialConfig(SourceConfig):
    """Official PDEBench files, downloaded by the user, or an error that says what to download."""


class GenerateConfig(SourceConfig):
    """Data made by UPS in the layout of the official files."""

    seed: int = Field(default=2022, ge=0)
    """Seed of the initial conditions or coefficients."""


class AutoConfig(GenerateConfig):
    """Official files when all of them are under the data root, otherwise generated data."""


class Official:
    """Source `official`: looks below `<data_root>/<PDEBench folder>/` and `<data_root>/`."""

    def __init__(self, config: OfficialConfig):
        self.config = config

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        files = []
        for value in request.values:
            path = find_official(request.family, value, data_root)
            if path is None:
                raise UPSError(_how_to_get(request.family, value, data_root))
            files.append(path)
        content = [[path.name, file_digest(path)] for path in files]
        return DataPlan(
            fingerprint=digest(["official", content, request.identity()]),
            source="official",
            files=tuple(files),
            note=request.family.caveat,
        )

    def provide(self, request: Request, plan: DataPlan, console: Console) -> None:
        """Nothing to create."""


def generated_identity(request: Request, seed: int, value: float | None = None) -> dict[str, Any]:
    """Everything that decides the content of a generated file; without `value`, of its siblings too."""
    generator = {"generator": request.family.generator, "version": request.family.version, "seed": seed}
    return generator | request.identity(value)


class Generate:
    """Source `generate`: files below `<data_root>/generated/`, shared by all runs that ask for them."""

    def __init__(self, config: GenerateConfig):
        self.config = config

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        identity = [generated_identity(request, self.config.seed, value) for value in request.values]
        folder = generated_identity(request, self.config.seed)
        directory = data_root / "generated" / f"{request.family.name}-{digest(folder)[:12]}"
        files = tuple(directory / request.family.file_name(value) for value in request.values)
        missing = tuple(path for path in files if not path.is_file())
        return DataPlan(
            fingerprint=digest(["generated", identity]),
            source="generated",
            files=files,
            missing=missing,
            note=_to_do(missing, request),
        )

    def provide(self, request: Request, plan: DataPlan, console: Console) -> None:
        """Generate the missing files."""
        from ups_data.stores.pdebench_writer import write_file

        for value, path in zip(request.values, plan.files, strict=True):
            if not path.is_file():
                write_file(request, value, self.config.seed, path, console)


class Auto:
    """Source `auto`: all official or all generated, never a mixture."""

    def __init__(self, config: AutoConfig):
        self.config = config

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        absent = [v for v in request.values if find_official(request.family, v, data_root) is None]
        if not absent:
            return Official(OfficialConfig()).plan(request, data_root)
        plan = self._generate.plan(request, data_root)
        if len(absent) == len(request.values):
            return plan
        names = ", ".join(request.family.file_name(value) for value in absent)
        note = f"{plan.note}; official files are not used because {names} is missing"
        return DataPlan(plan.fingerprint, plan.source, plan.files, plan.missing, note)

    def provide(self, request: Request, plan: DataPlan, console: Console) -> None:
        """Generate the missing files of a generated plan."""
        if plan.source == "generated":
            self._generate.provide(request, plan, console)

    @property
    def _generate(self) -> Generate:
        return Generate(GenerateConfig(seed=self.config.seed))


def find_official(family: Family, value: float, data_root: Path) -> Path | None:
    """The official file for a parameter value, or None.

    Raises:
        UPSError: something that is no file has its name, a link to a disk that is not there, say.
    """
    for path in _candidates(family, value, data_root):
        if os.path.lexists(path) and not os.path.isfile(path):
            what = "a broken link" if path.is_symlink() else "no file"
            raise UPSError(f"{path} is {what}; put the official file there, or remove it")
        if path.is_file() and not _made_by_ups(path):
            return path
    return None


def _made_by_ups(path: Path) -> bool:
    # Our writer sets its attributes first, so that their names stand in the head of the file.
    try:
        with path.open("rb") as file:
            return GENERATOR_ATTRIBUTE.encode() in file.read(BLOCK_BYTES)
    except OSError:
        return False  # file_digest says what is wrong with it


def _to_do(missing: tuple[Path, ...], request: Request) -> str:
    if not missing:
        return "already generated"
    count = f"{len(missing)} file" + ("s" if len(missing) > 1 else "")
    return f"{count} to generate, {len(missing) * request.nbytes / 1e6:.1f} MB"


def _candidates(family: Family, value: float, data_root: Path) -> tuple[Path, Path]:
    name = family.file_name(value)
    return data_root / family.folder / name, data_root / name


def file_digest(path: Path) -> str:
    """Hash of a large file's size and of 16 evenly spaced blocks of 64 KiB.

    Raises:
        UPSError: the file cannot be read or is no HDF5 file.
    """
    try:
        size = path.stat().st_size
        hasher = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            if file.read(len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
                raise UPSError(f"{path} ({size} bytes) is no HDF5 file; download it again")
            for block in range(BLOCKS):
                file.seek(max(0, size - BLOCK_BYTES) * block // (BLOCKS - 1))
                hasher.update(file.read(BLOCK_BYTES))
    except OSError as error:
        raise UPSError(f"cannot read {path}: {error.strerror}") from error
    return hasher.hexdigest()


def _how_to_get(family: Family, value: float, data_root: Path) -> str:
    places = " nor ".join(str(path) for path in _candidates(family, value, data_root))
    message = f"official file not found: neither {places}"
    datafile = family.datafiles.get(value)
    if datafile is None:
        published = ", ".join(map(str, family.datafiles))
        return (
            f"{message}; PDEBench published {family.parameter} = {published}, not {value}: "
            "use source: generate"
        )
    return (
        f"{message}; download its {family.official_bytes / 1e9:.1f} GB from "
        f"https://darus.uni-stuttgart.de/api/access/datafile/{datafile} (DaRUS file id {datafile}), "
        "or use source: auto"
    )
