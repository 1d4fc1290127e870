"""The stages that sample: what their losses are, that gradients arrive, and what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from small_stage import context, run
from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_eval.ensemble_scores import crps, energy_score
from ups_models.bundle import load_bundle
from ups_models.residual.simulator import CorrectedSimulator
from ups_train.engine.ema import averaged_copy
from ups_train.engine.objective import ObjectiveInputs, create_objective
from ups_train.stages.ensemble import ALMOST_FAIR

SAMPLING = ("ensemble", "diffusion_residual", "consistency_distillation")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def made(name: str, data_root: Path, directory: Path, **options: Any) -> Any:
    """An objective before its first step, every weight moved away from zero."""
    stage, given = context(data_root, directory, objective=name, **options)
    torch.manual_seed(0)
    objective: Any = create_objective(
        stage.objective, stage.config, ObjectiveInputs.open(stage.config, given)
    )
    objective.initialise()
    with torch.no_grad():
        for weight in objective.network.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn(weight.shape))
    return objective


def windows(objective: Any, task: str, count: int = 4) -> FieldBatch:
    batch: FieldBatch = objective.inputs.data[task].windows("train", horizon=1).batch(range(count))
    return batch


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in SAMPLING), ("diffusion_residual", {"flow": "edm"})]
)
def test_gradients_reach_every_weight(
    name: str, options: dict[str, Any], data_root: Path, tmp_path: Path
) -> None:
    objective = made(name, data_root, tmp_path, **options)
    for task in objective.inputs.tasks:
        objective.loss(windows(objective, task), 1, 1.0).backward()
    network: nn.Module = objective.network
    lost = {
        weight_name
        for weight_name, weight in network.named_parameters()
        if weight.requires_grad and (weight.grad is None or not bool(weight.grad.abs().max() > 0))
    }
    # Only rollouts inside the latent space use it; and a constant flux changes nothing.
    assert {
        entry for entry in lost if "onward" not in entry and "head.advection1d.bias" not in entry
    } == set()


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("task", ["advection1d", "darcy2d"])
def test_a_sample_has_the_same_loss_in_any_batch(
    name: str, task: str, data_root: Path, tmp_path: Path
) -> None:
    objective = made(name, data_root, tmp_path, augment=False)
    step = 4 if task == "advection1d" else 1  # one window of each trajectory
    data = objective.inputs.data[task].windows("train", horizon=1)
    with torch.no_grad():
        together = objective.loss(data.batch([0, step, 2 * step]), 3, 1.0)
        alone = [objective.loss(data.batch([number * step]), 3, 1.0) for number in range(3)]
        other = objective.loss(data.batch([0]), 4, 1.0)
    torch.testing.assert_close(together, torch.stack(alone).mean())
    assert not torch.equal(other, alone[0])


@pytest.mark.parametrize("score", ["energy", "crps", "both"])
def test_an_ensemble_is_trained_on_its_score(score: str, data_root: Path, tmp_path: Path) -> None:
    options = {"kind": "ensemble", "score": score, "members": 3, "noise": {"channels": 4}}
    stage, given = context(data_root, tmp_path, objective="ensemble")
    config = type(stage.config).model_validate(
        {**stage.config.model_dump(mode="json"), "objective": options}, context={}
    )
    objective: Any = create_objective(stage.objective, config, ObjectiveInputs.open(config, given))
    batch = windows(objective, "darcy2d")
    drawn: list[torch.Tensor] = []
    sample = objective.simulator.sample
    objective.simulator.sample = lambda *given: drawn.append(sample(*given)) or drawn[-1]
    loss = objective.loss(batch, 0, 0.0)
    scaled = objective.simulator.normaliser("darcy2d").target_scaled
    # The truth is that of the transformed batch, which only a symmetric statistic sees from outside.
    assert drawn[0].shape[:2] == (3, 4)
    assert math.isfinite(float(loss.detach()))
    if score == "energy":
        objective.config = config.model_copy(update={"augment": False})
        drawn.clear()
        loss = objective.loss(batch, 0, 0.0)
        expected = energy_score(scaled(drawn[0]), scaled(batch.target), ALMOST_FAIR).mean()
        torch.testing.assert_close(loss, expected)
        both = expected + crps(scaled(drawn[0]), scaled(batch.target), ALMOST_FAIR).mean()
        assert float(both.detach()) > float(expected.detach())


def test_the_student_starts_as_its_teacher(data_root: Path, tmp_path: Path) -> None:
    stage, given = context(data_root, tmp_path, objective="consistency_distillation")
    objective: Any = create_objective(
        stage.objective, stage.config, ObjectiveInputs.open(stage.config, given)
    )
    teacher = load_bundle(given.inputs["flow"] / "model")
    assert isinstance(teacher, CorrectedSimulator)
    for name, weight in teacher.corrector.state_dict().items():
        assert torch.equal(objective.network.state_dict()[name], weight), name


def test_a_student_of_another_model_is_refused(data_root: Path, tmp_path: Path) -> None:
    other = {"kind": "fno", "width": 8, "modes": 2}
    with pytest.raises(UPSError, match="give both stages the same 'model'"):
        run(data_root, tmp_path, objective="consistency_distillation", model=other, epochs=None, max_steps=2)


def test_residuals_have_deviation_one(data_root: Path, tmp_path: Path) -> None:
    objective = made("diffusion_residual", data_root, tmp_path)
    for task, data in objective.inputs.data.items():
        windows_ = data.windows("train", horizon=1)
        batch = windows_.batch(range(len(windows_)))
        with torch.no_grad():
            residual = batch.target[:, 0] - objective.simulator.step(batch)
        size = (residual / objective.simulator.physical_scale(task)).square().mean().sqrt()
        assert float(size) == pytest.approx(1, rel=0.01)


def test_the_average_is_the_students_target(data_root: Path, tmp_path: Path) -> None:
    objective = made("consistency_distillation", data_root, tmp_path, augment=False, direct=1.0)
    batch, names = windows(objective, "advection1d"), set(objective.state_dict())
    losses = torch.stack([objective.loss(batch, seed, 1.0) for seed in range(8)])
    average = averaged_copy(objective.network)
    objective.use_average(average)
    assert set(objective.state_dict()) == names, "the training saves it already"
    same = torch.stack([objective.loss(batch, seed, 1.0) for seed in range(8)])
    torch.testing.assert_close(same, losses)
    with torch.no_grad():
        for weight in average.parameters():
            weight.mul_(2)
    other = torch.stack([objective.loss(batch, seed, 1.0) for seed in range(8)])
    assert (other != losses).sum() >= 6, "the shortest jumps, one in 16, need the teacher alone"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "ensemble", "members": 1}, "one member has no spread"),
        ({"kind": "deterministic", "members": 8}, "'members' is for ensembles"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    from ups_train.stages.operator_config import ObjectiveConfig

    with pytest.raises(ValueError, match=message):
        ObjectiveConfig.model_validate(options)


def test_a_resolved_spec_with_all_defaults_is_as_good() -> None:
    from ups_train.stages.operator_config import ObjectiveConfig

    for options in ({}, {"kind": "ensemble", "score": "both"}):
        config = ObjectiveConfig.model_validate(options)
        assert ObjectiveConfig.model_validate(config.model_dump()) == config
