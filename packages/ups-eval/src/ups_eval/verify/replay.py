"""Rolls the saved simulators of a run out again and compares with the stored predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ups_core.finished_step import FinishedStep
from ups_core.run_file import read_run
from ups_data.batches.batch import FieldBatch
from ups_eval.predictions import FILE as PREDICTIONS
from ups_eval.predictions import TaskPredictions, read_predictions
from ups_eval.results import Results
from ups_eval.rollout_step import with_sampler
from ups_eval.scoring import Ensemble, predict_target
from ups_eval.verify.finding import Finding, Outcome, guarded
from ups_models.bundle import load_bundle
from ups_models.residual.config import SamplerConfig
from ups_models.simulator import Simulator

TOLERANCE = 1e-3
"""Limit of the difference, relative to the root mean square: other processors and batch sizes round
otherwise, and a rollout amplifies it."""


def replay(run: Path) -> Iterator[Finding]:
    """Roll out every scored model whose weights a step of the run has."""
    record = read_run(run)
    finished = [FinishedStep.read(run, step.id) for step in record.steps if step.status == "completed"]
    bundles = {
        step.record.files["model/weights.safetensors"].sha256: step.directory / "model"
        for step in finished
        if "model/weights.safetensors" in step.record.files
    }
    for step in finished:
        yield from guarded(step.record.id, lambda step=step: _step(step, bundles))  # type: ignore[misc]


def _step(step: FinishedStep, bundles: dict[str, Path]) -> Iterator[Finding]:
    results = Results.read(step)
    if results is None or PREDICTIONS not in step.record.files:
        return
    stored = read_predictions(step.file(PREDICTIONS))
    for model, weights in results.weights.items():
        if weights not in bundles:
            continue  # reported with the numbers
        simulator = load_bundle(bundles[weights])
        if results.sampler and model == results.model:
            simulator = with_sampler(simulator, SamplerConfig.model_validate(results.sampler))
        for task, predictions in stored.items():
            if model in predictions.predictions:
                ensemble = Ensemble(results.members.get(model, 1), results.seed)
                what = f"{step.record.id}: {model} on {task}"
                yield _compare(what, simulator, predictions, model, ensemble)


def _compare(
    what: str, simulator: Simulator, stored: TaskPredictions, model: str, ensemble: Ensemble
) -> Finding:
    with torch.inference_mode():
        found = predict_target(simulator, _batch(stored), ensemble).mean(dim=0).numpy()
    expected = stored.predictions[model]
    if np.array_equal(found, expected, equal_nan=True):
        return Finding(what, "ok", f"{len(found)} trajectories rolled out again: the same bits")
    scale = np.sqrt(np.mean(expected.astype(np.float64) ** 2))
    difference = float(np.abs(found.astype(np.float64) - expected).max() / scale)
    outcome: Outcome = "ok" if difference <= TOLERANCE else "MISMATCH"
    return Finding(what, outcome, f"{len(found)} trajectories rolled out again differ by {difference:.1e}")


def _batch(stored: TaskPredictions) -> FieldBatch:
    """The given frames and conditions of the stored trajectories."""
    info, count = stored.info, len(stored.index)
    return FieldBatch(
        task=info.name,
        state=torch.from_numpy(stored.state),
        static=torch.from_numpy(stored.static),
        params=torch.from_numpy(stored.params),
        params_mask=torch.ones(stored.params.shape, dtype=torch.bool),
        dt=torch.full((count,), info.dt),
        coords=torch.from_numpy(stored.coords),
        target=torch.from_numpy(stored.target),
        index=torch.from_numpy(stored.index),
        forcing=None if stored.forcing is None else torch.from_numpy(stored.forcing),
    )
