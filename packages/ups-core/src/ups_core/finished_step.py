"""A finished step on disk: `step.json`, with the checksum of every file that the step left."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ups_core.layout import step_directory
from ups_core.reading import UnsoundFile, in_form
from ups_core.sealed import read_sealed, write_sealed
from ups_core.sums import FileSum, check_size, check_sum, sums_of

RECORD = "step.json"
"""In the directory of a step, finished or not."""
SCHEMA = 2
"""Of `step.json`; since 2 it has checksums."""


class VerdictRecord(BaseModel):
    """The judgement of a gate; see :class:`ups_core.step.Verdict`."""

    passed: bool
    reason: str
    stops: bool = False

    @property
    def ends_run(self) -> bool:
        """Whether later steps must not run."""
        return self.stops and not self.passed


class StepRecord(BaseModel):
    """The content of `step.json` of a finished step.

    Attributes:
        after: ids of the steps that it depends on.
        providers: distribution -> version of the code that computed it.
        metrics: `<step id>/<key>` -> value; None where it is not finite.
        files: name relative to the step's directory -> size and SHA-256, without `step.json` itself.
        kept_from: run directory that a step was copied from that was not computed in this run.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    schema_version: Literal[2] = Field(alias="schema")
    id: str
    uses: str
    fingerprint: str
    status: Literal["completed"]
    started: str
    finished: str
    seconds: float
    after: list[str]
    options: dict[str, Any]
    providers: dict[str, str]
    metrics: dict[str, float | None]
    verdict: VerdictRecord | None = None
    files: dict[str, FileSum]
    kept_from: str | None = None

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, FileSum]) -> dict[str, FileSum]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or not path.parts or ".." in path.parts:
                raise ValueError(f"{name!r} is not inside the step's directory")
        return files


@dataclass(frozen=True)
class FinishedStep:
    """A step whose record is sound.

    Attributes:
        directory: of its files.
        record: its `step.json`.
    """

    directory: Path
    record: StepRecord

    @classmethod
    def read(cls, run: Path, step_id: str) -> FinishedStep:
        """The step of a run directory.

        Raises:
            UnsoundFile: `step.json` is missing, damaged, or of a step that is not complete.
        """
        directory = step_directory(run, step_id)
        for folder in (directory.parent, directory):
            if folder.is_symlink():
                raise UnsoundFile(folder, "is a link, which is not followed; put the folder itself there")
        path = directory / RECORD
        what = "the record of a finished step"
        record = in_form(path, StepRecord.model_validate, read_sealed(path), what)
        if record.id != step_id:
            raise UnsoundFile(path, f"is the record of another step ('{record.id}')")
        return cls(directory, record)

    def file(self, name: str) -> Path:
        """The path of a file of the step, whose checksum was compared.

        Raises:
            UnsoundFile: it is missing or changed, or the step did not leave it.
        """
        path = self.directory / name
        if name not in self.record.files:
            raise UnsoundFile(path, f"is not a file of step '{self.record.id}'")
        check_sum(path, self.record.files[name])
        return path

    def check(self, quick: bool = False) -> None:
        """Compare all files with their checksums, or only their sizes. Raises :class:`UnsoundFile`."""
        compare = check_size if quick else check_sum
        for name, noted in self.record.files.items():
            compare(self.directory / name, noted)

    def owned_by_others(self) -> str | None:
        """Says which file belongs to another user, who can change it at any time; None if none does."""
        own = os.geteuid()
        for path in (self.directory, *map(self.directory.joinpath, (RECORD, *self.record.files))):
            if (owner := path.lstat().st_uid) != own:
                return f"{path} belongs to {_user(owner)}"
        return None

    def sound_files(self) -> list[str]:
        """Names of the files that have their checksums."""
        return [name for name in self.record.files if self._is_sound(name)]

    def _is_sound(self, name: str) -> bool:
        try:
            self.file(name)
        except UnsoundFile:
            return False
        return True


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"another user (uid {number})"


def write_finished(directory: Path, content: Mapping[str, Any]) -> None:
    """Write `step.json` into the directory of a step that has just ended, with the sums of its files."""
    files = {name: noted._asdict() for name, noted in sums_of(directory, without={RECORD}).items()}
    write_sealed(directory / RECORD, {"schema": SCHEMA, **content, "files": files})
