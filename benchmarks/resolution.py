"""The error of a trained model on other grids than the one of its training.

ups-run specs/smoke.yaml
python benchmarks/resolution.py runs/smoke-… --resolutions 64 128 256
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch

from ups_core.validate import load_spec
from ups_data import TaskData, prepare_task
from ups_eval.metrics import NRMSE
from ups_models.bundle import load_bundle
from ups_models.simulator import Simulator


def main() -> None:
    """Score the model of a run on the test trajectories of its tasks at several resolutions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--step", default="operator", help="step that trained the model")
    parser.add_argument("--resolutions", type=int, nargs="+", required=True, help="points along every axis")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    args = parser.parse_args()
    spec, _ = load_spec(args.run / "spec.yaml")
    simulator = load_bundle(args.run / "steps" / args.step / "model")
    warnings.filterwarnings("ignore", message=".*the spacing of the training grid")
    for name, task in spec.tasks.items():
        options = task.config.model_dump(mode="json")
        for points in args.resolutions:
            data = prepare_task(task.kind, options | {"resolution": points}, args.data_root)
            trained = " (training)" if simulator.tasks[name].shape == data.info.shape else ""
            print(f"{name:12} {points:5} {error(simulator, name, data):9.4g}{trained}")


def error(simulator: Simulator, name: str, data: TaskData) -> float:
    """nRMSE of complete test rollouts."""
    windows = data.trajectories("test")
    metric = NRMSE()
    with torch.inference_mode():
        for begin in range(0, len(windows), 16):
            batch = windows.batch(range(begin, min(begin + 16, len(windows))))
            batch.task = name
            metric.update(simulator.rollout(batch, batch.target.shape[1]), batch.target)
    return float(metric.compute())


if __name__ == "__main__":
    main()
