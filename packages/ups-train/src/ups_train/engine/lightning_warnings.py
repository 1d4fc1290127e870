"""Silences Lightning warnings that do not apply to our training loop."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence


def silence_lightning() -> None:
    """Ignore advice meant for authors of training loops: this project's loop follows or refutes it."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message=message)


_ADVICE: Sequence[str] = (
    ".*GPU available but not used.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*`srun` command is available.*",  # a step that the launcher does not give to Slurm
    ".*recommended to use .*sync_dist=True.*",  # torchmetrics has combined them already
    ".*Grad strides do not match bucket view strides.*",
    ".*ReduceLROnPlateau conditioned on metric.*",
    ".*module\\(s\\) in eval mode at the start of training.*",  # a frozen operator beside what is trained
)
