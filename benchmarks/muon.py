"""Time of a Muon step for the default model's hidden matrices: torch.optim.Muon against Float32Muon.

    python benchmarks/muon.py [--repeats 5] [--json]

Both do the same update; torch's orthogonalises in bfloat16, one matrix at a time, which is slow where the
processor has no bfloat16 products.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch

from ups_core import Component
from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_models.simulator import build_simulator
from ups_train.optimizers.config import MuonHybridConfig
from ups_train.optimizers.factories import groups_of
from ups_train.optimizers.groups import assign
from ups_train.optimizers.muon import Float32Muon


def hidden_matrices(data_root: str) -> list[torch.nn.Parameter]:
    """The default latent operator's matrices that Muon updates, with random gradients."""
    tasks = [prepare_task(name, {"trajectories": 20}, data_root) for name in ("advection1d", "darcy2d")]
    entry = registry_in_use().get("models", "latent_operator")
    component = Component(entry, entry.load_config()())
    simulator = build_simulator(
        component,
        {task.info.name: task.info for task in tasks},
        {task.info.name: task.statistics for task in tasks},
    )
    parts = assign(groups_of(MuonHybridConfig()), dict(simulator.network.named_parameters()))
    found = [
        weight for part in parts if part.group.optimizer.kind == "muon" for weight in part.parameters.values()
    ]
    for weight in found:
        weight.grad = torch.randn_like(weight)
    return found


def seconds(optimizer: torch.optim.Optimizer, repeats: int) -> list[float]:
    """Duration of each of `repeats` steps after one that is not counted."""
    optimizer.step()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        optimizer.step()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Print median and spread of both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    weights = hidden_matrices(given.data_root)
    results = {
        name: seconds(kind(weights, lr=1e-3, adjust_lr_fn="match_rms_adamw"), given.repeats)
        for name, kind in (
            ("torch.optim.Muon", torch.optim.Muon),
            ("ups_train.optimizers.muon.Float32Muon", Float32Muon),
        )
    }
    if given.json:
        print(json.dumps(results))
        return
    count = sum(weight.numel() for weight in weights)
    print(f"{len(weights)} matrices, {count:,} values, {torch.get_num_threads()} threads, seconds a step")
    for name, times in results.items():
        print(f"{name:28s} median {statistics.median(times):.4f}  min {min(times):.4f}  max {max(times):.4f}")


if __name__ == "__main__":
    main()
