"""A run that is going to be damaged, and what must come out of it nevertheless."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from small_stage import MODEL

SPEC = {
    "version": 1,
    "name": "victim",
    "seed": 1,
    "tasks": {"wave": {"kind": "advection1d", "trajectories": 12, "resolution": 32, "frames": 4}},
    "model": MODEL,
    "trainer": {"accelerator": "cpu", "threads": 1},
    "pipeline": [
        {
            "stage": "operator",
            "max_steps": 12,
            "validate_every": 4,
            "batch_size": 4,
            "checkpoints": {"keep": 3},
        },
        {"evaluate": "rollout", "id": "test", "save_predictions": 2},
        {"evaluate": "report", "animate": False},
    ],
}


@dataclass(frozen=True)
class Victim:
    """A folder with `spec.yaml`, `runs` and `data`.

    Attributes:
        folder: where commands are started.
        run: its run directory, relative to the folder.
        weights: the bytes that the training must end with.
        metrics: the numbers that the run must end with.
    """

    folder: Path
    run: Path
    weights: bytes
    metrics: str

    @property
    def files(self) -> Path:
        """The run directory."""
        return self.folder / self.run


WEIGHTS = Path("steps/operator/model/weights.safetensors")
METRICS = Path("steps/test/metrics.json")


def numbers(run: Path) -> str:
    """The scores of a run, without the seconds that they took."""
    content = json.loads((run / METRICS).read_text())
    return str({key: content[key] for key in ("metrics", "per_step", "per_sample")})
