"""One of two ranks that compute every built-in metric, each on its own half of the samples.

python metric_rank.py RANK FOLDER
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from known_fields import ADVECTION, advection_batch, select
from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel
from ups_data.solvers.advection import SpectralShift
from ups_eval.builtin_metrics import ENSEMBLE_METRICS, METRICS, PHYSICS_METRICS, create_metric
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.physics_metrics import PhysicsMetric, Problem

COUNT, MEMBERS = 7, 20
PROBLEM = Problem(
    replace(
        ADVECTION,
        channels=(Channel("u", "1", "state", positive=True, values=(-1.0, 0.0, 1.0)),),
        invariants=("mean", "l2"),
    ),
    SpectralShift(),
)


def fields() -> tuple[FieldBatch, torch.Tensor]:
    """A batch and members predicted for it, the same in every process."""
    batch = advection_batch(COUNT)
    noise = torch.randn(MEMBERS, *batch.target.shape, generator=torch.Generator().manual_seed(0))
    return batch, batch.target + 0.3 * noise


def computed(rows: list[int]) -> dict[str, float]:
    """Every built-in metric of some samples, and of those of the other ranks."""
    batch, members = fields()
    chosen, predicted = select(batch, rows), members[:, rows]
    found = {}
    for name in (*METRICS, *PHYSICS_METRICS, *ENSEMBLE_METRICS):
        metric = create_metric(name)
        for row in range(len(rows)):  # one by one, as uneven batches are
            one = select(chosen, [row])
            if isinstance(metric, PhysicsMetric):
                metric.update(predicted[0, [row]], one, PROBLEM)
            elif isinstance(metric, EnsembleMetric):
                metric.update(predicted[:, [row]], one.target)
            else:
                metric.update(predicted[0, [row]], one.target)
        found[name] = float(metric.compute())
    return found


def main(rank: int, folder: Path) -> None:
    """Compute as one of two ranks; the first writes what it found."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2
    )
    found = computed(list(range(3)) if rank == 0 else list(range(3, COUNT)))
    (folder / f"rank{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
