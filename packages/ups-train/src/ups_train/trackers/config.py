"""Options of experiment trackers, free of torch."""

from __future__ import annotations

from typing import Literal

from ups_core import TrackerConfig


class CSVConfig(TrackerConfig):
    """`metrics.csv` in the directory of every training step; no options."""


class WandbConfig(TrackerConfig):
    """Weights and Biases; needs `pip install 'ups-train[wandb]'`."""

    project: str = "ups"
    """Project that the run belongs to."""
    entity: str | None = None
    """Team; default: that of the account."""
    tags: list[str] = []
    """Tags of the run."""
    mode: Literal["online", "offline"] = "offline"
    """`offline` writes to `trackers/wandb` in the run directory; `wandb sync` uploads it later."""


class TensorBoardConfig(TrackerConfig):
    """TensorBoard; needs `pip install 'ups-train[tensorboard]'`.

    Its files are in `trackers/tensorboard` of the run directory; `tensorboard --logdir runs` shows all runs.
    """


class MLflowConfig(TrackerConfig):
    """MLflow; needs `pip install 'ups-train[mlflow]'`, and the package `mlflow` for its user interface."""

    experiment: str = "ups"
    """Experiment that the run belongs to."""
    uri: str | None = None
    """Tracking server or database; default: `mlflow/mlflow.db` (SQLite) beside the run directories.
    Artifacts of a database are in `mlflow/artifacts` there."""
    tags: dict[str, str] = {}
    """Tags of the run."""
