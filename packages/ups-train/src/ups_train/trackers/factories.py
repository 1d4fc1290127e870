"""Experiment trackers: Lightning loggers that a spec names."""

from __future__ import annotations

import os
import re
import secrets
import warnings
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from ups_core import UPSError
from ups_core.files import write_text
from ups_core.layout import clear
from ups_core.reading import UnsoundFile, read_text
from ups_train.trackers.config import CSVConfig, WandbConfig


def csv(config: CSVConfig, directory: Path, name: str) -> Logger:
    """`metrics.csv` in the step's directory."""
    warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
    return CSVLogger(save_dir=directory, name="", version="")


ID = r"[0-9a-f]{8}"
WANDB_ID = "wandb-id.txt"
"""In the step's directory: the id of its run, so that a resumed training continues the same one."""


def wandb(config: WandbConfig, directory: Path, name: str) -> Logger:
    """A Weights and Biases run; offline unless the spec says otherwise."""
    try:
        from lightning.pytorch.loggers import WandbLogger

        class FinishedWithTheStep(WandbLogger):
            """Ends the wandb run when training ends: the step's directory is renamed after it."""

            def finalize(self, status: str) -> None:
                super().finalize(status)
                self.experiment.finish()

        return FinishedWithTheStep(
            name=name,
            save_dir=directory,
            project=config.project,
            entity=config.entity,
            tags=config.tags,
            offline=config.mode == "offline",
            id=_run_id(directory),
            resume="allow",
        )
    except ModuleNotFoundError:
        raise UPSError("the tracker 'wandb' needs wandb: pip install 'ups-train[wandb]'") from None


def _run_id(directory: Path) -> str:
    """The id of the step's run: the one that an earlier attempt noted, or a new one."""
    path, new = directory / WANDB_ID, secrets.token_hex(4)
    if int(os.environ.get("RANK", "0")) > 0:
        return new  # only the first rank has a run
    try:
        if re.fullmatch(ID, noted := read_text(path).strip()):
            return noted
    except UnsoundFile:
        clear(path)  # missing, or something else that cannot be an id
    write_text(path, new + "\n")
    return new
