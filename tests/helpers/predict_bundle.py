"""Script: predict the test split with a run's saved model and print a hash of all bits.

    python predict_bundle.py RUN_DIR DATA_ROOT [MODULE_TO_REFUSE ...]

Runs where only ups-core, ups-data and ups-models are installed; modules named further are made unimportable.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


class Refuse:
    """Makes modules unimportable, as if they were not installed."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] in self.names:
            raise ImportError(name)


def main(run: Path, data_root: Path) -> None:
    """Print the hash."""
    import torch
    import yaml

    from ups_data.tasks.create import create_task
    from ups_models.bundle import load_bundle

    torch.set_num_threads(1)
    simulator = load_bundle(run / "steps/operator/model")
    digest = hashlib.sha256()
    for options in yaml.safe_load((run / "spec.yaml").read_text())["tasks"].values():
        windows = create_task(options.pop("kind"), options).open(data_root).trajectories("test")
        batch = windows.batch(range(len(windows)))
        with torch.inference_mode():
            digest.update(simulator.rollout(batch, batch.target.shape[1]).numpy().tobytes())
    print(digest.hexdigest())


if __name__ == "__main__":
    sys.meta_path.insert(0, Refuse(sys.argv[3:]))  # type: ignore[arg-type]
    main(Path(sys.argv[1]), Path(sys.argv[2]))
