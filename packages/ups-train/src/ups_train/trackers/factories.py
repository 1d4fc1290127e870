"""Experiment trackers: Lightning loggers that a spec names."""

from __future__ import annotations

import warnings
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from ups_core import UPSError
from ups_train.trackers.config import CSVConfig, WandbConfig


def csv(config: CSVConfig, directory: Path, name: str) -> Logger:
    """`metrics.csv` in the step's directory."""
    warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
    return CSVLogger(save_dir=directory, name="", version="")


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
        )
    except ModuleNotFoundError:
        raise UPSError("the tracker 'wandb' needs wandb: pip install 'ups-train[wandb]'") from None
