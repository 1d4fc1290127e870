"""A finished run without training: two tasks with known fields, a model with a known error, real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finished import finish_step
from known_fields import ADVECTION, DARCY, Data, advection_batch, darcy_batch, select
from ups_core.files import write_text
from ups_core.sealed import write_sealed
from ups_core.sums import sum_of
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_eval.builtin_metrics import METRICS, PHYSICS_METRICS, create_metric
from ups_eval.cost import SolverRun
from ups_eval.metrics import TrajectoryMetric, nrmse_per_channel, nrmse_per_frame
from ups_eval.physics_metrics import PhysicsMetric, Problem
from ups_eval.predictions import choose, write_predictions
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import TaskScore
from ups_eval.trajectory_statistics import reduce_values, write_statistics

torch.set_num_threads(1)  # tiny arrays: threads only wait for each other on a busy machine


def predict(name: str, batch: FieldBatch) -> torch.Tensor | None:
    """What the pretended models say: errors that grow over time, persistence exact, one left out."""
    noise = torch.Generator().manual_seed(len(name))
    if name == "persistence":
        return batch.state[:, -1:].expand_as(batch.target) if batch.state.shape[1] else None
    size = {"latent_operator": 0.01, "fno": 0.03}[name]
    rough = torch.randn(batch.target.shape, generator=noise)
    growth = torch.linspace(0.2, 2, batch.target.shape[1]).reshape(1, -1, *[1] * (batch.target.ndim - 2))
    level = torch.linspace(0.5, 3, len(batch)).reshape(-1, *[1] * (batch.target.ndim - 1))
    return batch.target * (1 + size * level * growth) + 0.3 * size * level * growth * rough


def make_run(directory: Path, infos: tuple[TaskInfo, ...] = (ADVECTION, DARCY), count: int = 6) -> Path:
    """Write the run directory that training and evaluation would have left."""
    models = ["latent_operator", "persistence", "fno"]
    step = directory / "steps" / "test"
    step.mkdir(parents=True)
    results = Results(
        models[0],
        models[1:],
        "test",
        parameters=dict(zip(models, (301_224, 0, 287_425), strict=True)),
        names=[*METRICS, *PHYSICS_METRICS],
        physics=[name for name in PHYSICS_METRICS if name != "spectrum_error"],
        horizons=[1, 4, 16],
    )
    arrays: dict[str, Any] = {}
    with write_predictions(step / "predictions.h5") as writer:
        for info in infos:
            batch = (advection_batch if info.dim == 1 else darcy_batch)(count)
            task = info.name
            problem = Problem(info)
            for name in models:
                if (prediction := predict(name, batch)) is None:
                    continue
                values, numbers = {}, {}
                for metric in results.names:
                    scored = create_metric(metric)
                    if isinstance(scored, PhysicsMetric):
                        if not scored.defined(problem):
                            continue
                        values[metric] = scored.values(prediction, batch, problem).numpy()
                    elif metric == "spectrum_error":
                        values[metric] = scored.values(prediction[None], batch.target).numpy()
                    else:
                        assert isinstance(scored, TrajectoryMetric)
                        values[metric] = scored.values(prediction, batch.target).numpy()
                    results.reductions[metric] = scored.reduction
                    numbers[metric] = reduce_values(values[metric], scored.reduction)
                errors = nrmse_per_channel(prediction, batch.target).numpy()
                params = batch.params.double().numpy()
                score = TaskScore(numbers, values, errors, params, batch.index.tolist(), 0, 0.5)
                results.add(task, name, score, arrays)
                results.memory.setdefault(task, {})[name] = 1_000_000
                if info.kind == "evolution":
                    results.add_mean(task, name, "one_step", errors[:, 0, 0], arrays)
            truth = {
                metric: scored.values(batch.target, batch, problem).numpy()
                for metric in results.physics
                if isinstance(scored := create_metric(metric), PhysicsMetric) and scored.defined(problem)
            }
            numbers = {metric: reduce_values(found, "mean") for metric, found in truth.items()}
            results.add_truth(task, TaskScore(numbers, truth, errors, params, [], 0), arrays)
            results.problems[task] = ScoredProblem(
                info.kind,
                [channel.name for channel in info.target_channels],
                [parameter.name for parameter in info.parameters],
                [(parameter.low, parameter.high) for parameter in info.parameters],
                results.store(params, arrays),
                list(info.shape),
                list(info.shape),
                info.history,
                info.dt,
                "exact",
                [SolverRun(info.shape, 1e-3, 0.02), SolverRun((16,) * info.dim, 0.1, 0.001)],
            )
            choice = choose(results.per_sample[task][models[0]], 4)
            writer.task(info, choice)
            writer.truth(select(batch, choice.positions))
            for name in results.per_step[task]:
                prediction = predict(name, batch)
                assert prediction is not None
                nrmse = nrmse_per_frame(prediction, batch.target).mean(dim=1)
                writer.prediction(task, name, prediction[None, choice.positions], nrmse[choice.positions])
    write_statistics(step / "statistics.npz", arrays)
    results.write(step)
    lines = [
        {
            "step": 40 * (epoch + 1),
            "epoch": epoch,
            "train/loss": 0.9 * 0.8**epoch,
            "val/advection1d/nrmse": 0.5 * 0.8**epoch,
            "val/darcy2d/nrmse": 0.4 * 0.85**epoch,
            "val/nrmse": 0.45 * 0.82**epoch,
            "lr": 1e-3 * (1 + np.cos(np.pi * epoch / 20)) / 2,
            "seconds": 2.0 * epoch,
        }
        for epoch in range(20)
    ]
    write_text(directory / "steps/operator/metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    write_text(
        directory / "spec.yaml",
        "version: 1\nname: demo\nseed: 0\ntasks:\n  advection1d: {kind: advection1d}\n",
    )
    steps = [
        ("operator", "stage: operator", 74.2),
        ("fno", "stage: operator", 61.0),
        ("test", "evaluate: rollout", 3.1),
    ]
    metrics = {"test": {f"test/{key}": value for key, value in results.metrics.items()}}
    for name, uses, _ in steps:
        options = (
            {"max_steps": 800, "optimizer": {"kind": "adamw", "lr": 1e-3}}
            if uses == "stage: operator"
            else {}
        )
        finish_step(directory, name, "aa", uses=uses, metrics=metrics.get(name, {}), options=options)
    write_sealed(
        directory / "run.json",
        {
            "schema": 1,
            "name": "demo",
            "fingerprint": "3f9c1a2b77aa00112233",
            "spec": sum_of(directory / "spec.yaml"),
            "status": "completed",
            "started": "2026-01-05T10:11:12.000+00:00",
            "finished": None,
            "seconds": 139.0,
            "command": ["/opt/somewhere/bin/ups-run", "specs/demo.yaml"],
            "environment": {
                "python": "3.11.7",
                "packages": {"torch": "2.13.0", "ups-eval": "0.1.0"},
                "platform": "Linux-x86_64",
                "devices": {"cpu": "x86_64", "cores": 2},
                "git": {"commit": "0123abcd"},
            },
            "data": {
                info.name: {
                    "fingerprint": "ab12cd34ef56ab12cd34",
                    "source": "generated",
                    "note": "generated in 12 s, 83 MB",
                    "splits": {"train": 800, "val": 100, "test": 100},
                }
                for info in infos
            },
            "steps": [
                {
                    "id": name,
                    "uses": uses,
                    "status": "completed",
                    "fingerprint": "aa",
                    "seconds": seconds,
                    "metrics": metrics.get(name, {}),
                    "verdict": None,
                    "details": {},
                }
                for name, uses, seconds in steps
            ],
            "metrics": {},
        },
    )
    return directory


@pytest.fixture
def advection() -> Data:
    return Data(ADVECTION, advection_batch(5))


@pytest.fixture
def darcy() -> Data:
    return Data(DARCY, darcy_batch(4))


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A finished run of both tasks."""
    return make_run(tmp_path / "demo-3f9c1a2b")
