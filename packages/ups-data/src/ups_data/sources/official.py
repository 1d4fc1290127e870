"""The source `official`: PDEBench files that the user has downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from ups_core import DataPlan, UPSError
from ups_core.console import Console
from ups_core.fingerprint import digest
from ups_data.sources.config import OfficialConfig
from ups_data.sources.fetching import fetch_files, size_text
from ups_data.sources.manifest import DATAFILE, DATASET, MD5
from ups_data.sources.request import GENERATOR_ATTRIBUTE, DataFile, Request
from ups_data.sources.versions import other_version
from ups_data.stores.checksums import place_of_sum, sampled_sum

HEAD_BYTES = 64 * 1024
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Official:
    """Files below `<data_root>/<PDEBench folder>/` or directly in `<data_root>/`."""

    def __init__(self, config: OfficialConfig) -> None:
        self.config = config

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """See :class:`~ups_data.sources.base.Source`.

        Raises:
            UPSError: a file is missing (the message says how to get it) or is not readable HDF5.
        """
        files, missing, nbytes = [], [], 0
        for file in request.files:
            path = find_official(file, data_root)
            if path is None:
                if not self.config.fetch or file.datafile not in MD5:
                    raise UPSError(_how_to_get(request, file, data_root))
                path = data_root / file.folder / file.name
                missing.append(path)
                nbytes += file.nbytes
            files.append(path)
        if self.config.fetch:  # the content is the manifest's, before the download and after it
            content = [[file.name, MD5[file.datafile]] for file in request.files if file.datafile in MD5]
        else:
            content = [[path.name, file_digest(path)] for path in files]
        note = request.caveat
        if missing:
            count = f"{len(missing)} files" if len(missing) > 1 else "1 file"
            note = f"{count} to fetch, about {size_text(nbytes)}; {note}"
        return DataPlan(
            fingerprint=digest(["official", content, request.identity()]),
            source="official",
            files=tuple(files),
            missing=tuple(missing),
            note=note,
        )

    def provide(self, request: Request, plan: DataPlan, console: Console) -> int:
        """Fetch what is missing. Of files that are used for the first time it says which are not today's
        versions.

        Raises:
            UPSError: a file cannot be fetched, or is to be today's version but is not.
        """
        wanted = [
            (file, path)
            for file, path in zip(request.files, plan.files, strict=True)
            if path in plan.missing and not path.exists()
        ]
        if wanted:
            way_out = f"run 'ups data fetch {request.family} --yes' with the same options first"
            files, paths = [file for file, _ in wanted], [path for _, path in wanted]
            fetch_files(files, paths, console, yes=False, way_out=way_out)
        for file, path in zip(request.files, plan.files, strict=True):
            if file.datafile is not None and not os.path.lexists(place_of_sum(path)):
                said = other_version(path, file.datafile)
                if said and self.config.fetch:
                    raise UPSError(f"{said}; remove it, or set source.fetch to false")
                if said:
                    console.say(said, "yellow")
        return len(wanted)


def find_official(file: DataFile, data_root: Path) -> Path | None:
    """Where an official file is, or None.

    Raises:
        UPSError: the name belongs to something that is not a file, such as a link to an unmounted disk.
    """
    for path in _candidates(file, data_root):
        if os.path.lexists(path) and not os.path.isfile(path):
            what = "a broken link" if path.is_symlink() else "not a file"
            raise UPSError(f"{path} is {what}; put the official file there or remove it")
        if path.is_file() and not _made_by_ups(path):
            return path
    return None


def file_digest(path: Path) -> str:
    """The :func:`~ups_data.stores.checksums.sampled_sum` of an HDF5 file.

    Raises:
        UPSError: the file cannot be read or is not an HDF5 file.
    """
    target = path.resolve()
    try:
        with target.open("rb") as file:
            sound = file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError as error:
        raise UPSError(f"cannot read {path}: {error.strerror}") from error
    if not sound:
        raise UPSError(f"{path} ({target.stat().st_size} bytes) is not an HDF5 file; download it again")
    # Official files have 8 GB: hashing all of it would take longer than planning may.
    return sampled_sum(target)


def _made_by_ups(path: Path) -> bool:
    # Without h5py, which planning must not import: our writer sets its attributes before anything else, so
    # their names are in the head of the file.
    try:
        with path.open("rb") as file:
            return GENERATOR_ATTRIBUTE.encode() in file.read(HEAD_BYTES)
    except OSError:
        return False  # file_digest reports what is wrong with it


def _candidates(file: DataFile, data_root: Path) -> tuple[Path, Path]:
    return data_root / file.folder / file.name, data_root / file.name


def _how_to_get(request: Request, file: DataFile, data_root: Path) -> str:
    if not file.folder:
        return f"'{request.family}' has no official files, its data are generated only; use source: generate"
    places = " nor ".join(str(path) for path in _candidates(file, data_root))
    message = f"official file not found: neither {places}"
    if not request.published:
        return f"{message}; download it from {DATASET} (folder {file.folder}), {file.nbytes / 1e9:.1f} GB"
    if file.datafile is None:
        wanted = ", ".join(f"{value}" for value in file.parameters.values())
        generate = ": use source: generate" if request.generation else ""
        return f"{message}; PDEBench published {request.published}, not {wanted}{generate}"
    return (
        f"{message}; fetch its {file.nbytes / 1e9:.1f} GB with 'ups data fetch {request.family}', "
        f"or download {DATAFILE.format(file.datafile)} (DaRUS file id {file.datafile})"
        + (", or use source: auto" if request.generation else "")
    )
