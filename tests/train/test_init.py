"""Trainings that start from a trained model: its weights, frozen parts, or its complete state."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from commands import command
from interrupted import outcome
from plugin_for_tests import with_plugin
from small_runs import SPEC, write_spec
from small_stage import context, run
from ups_core import UPSError, UsageError
from ups_core.sealed import read_sealed, write_sealed
from ups_models.bundle import load_bundle, load_prior
from ups_models.prior.observations import Observations, joint_fields
from ups_train.engine.objective import ObjectiveInputs, create_objective
from ups_train.stages.initial_simulator import new_simulator

STEADY = {"optimizer": {"kind": "adamw", "lr": 1e-3}, "scheduler": {"kind": "constant"}, "select": "last"}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def parent(data_root: Path) -> Path:
    """A trained operator's step."""
    directory = data_root / "parent"
    run(data_root, directory, epochs=None, max_steps=6, validate_every=3, **STEADY)
    return directory


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model" / "weights.safetensors")


def started(parent: Path, data_root: Path, directory: Path, **options: Any) -> ObjectiveInputs:
    """Inputs of a stage that starts from the parent's bundle."""
    step, given = context(data_root, directory, init={"bundle": str(parent / "model")}, **options)
    return ObjectiveInputs.open(step.config, given)


def test_the_weights_are_the_parents(parent: Path, data_root: Path, tmp_path: Path) -> None:
    simulator = new_simulator(started(parent, data_root, tmp_path), augmented=True)
    found = simulator.network.state_dict()
    assert found.keys() == weights(parent).keys()
    assert all(torch.equal(found[name], weight) for name, weight in weights(parent).items())


def test_an_ensemble_starts_as_the_operator(parent: Path, data_root: Path, tmp_path: Path) -> None:
    inputs = started(parent, data_root, tmp_path, objective="ensemble")
    simulator, operator = new_simulator(inputs, augmented=True).eval(), load_bundle(parent / "model")
    for data in inputs.data.values():
        batch = data.trajectories("val").batch([0, 1])
        frames = batch.target.shape[1]
        expected = operator.rollout(batch, frames)
        assert torch.equal(simulator.rollout(batch, frames), expected)
        members = simulator.sample(batch, frames, 3, seed=0)
        spread, size = (members - expected).square().mean().sqrt(), expected.square().mean().sqrt()
        assert 0 < float(spread.detach()) < 0.05 * float(size.detach())


def test_frozen_parameters_stay(parent: Path, data_root: Path, tmp_path: Path) -> None:
    init = {"bundle": str(parent / "model"), "freeze": [r"^codec\.", "condition"]}
    run(data_root, tmp_path, init=init, epochs=None, max_steps=4, validate_every=4, **STEADY)
    moved = {
        name for name, weight in weights(tmp_path).items() if not torch.equal(weight, weights(parent)[name])
    }
    assert moved
    assert not any(name.startswith(("codec.", "condition.")) for name in moved)
    details = json.loads((tmp_path / "details.json").read_text())
    source = json.loads((parent / "model" / "config.json").read_text())
    assert details["start"] == source["weights"]["sha256"]


def test_a_continued_training_is_the_longer_one(parent: Path, data_root: Path, tmp_path: Path) -> None:
    options = {"epochs": None, "max_steps": 12, "validate_every": 3, **STEADY}
    run(data_root, tmp_path / "whole", **options)
    step, given = context(data_root, tmp_path / "on", init={"step": "first", "continued": True}, **options)
    step.run(replace(given, artifacts={"simulator": {"first": parent}}))
    (ours, our_lines), (theirs, their_lines) = outcome(tmp_path / "on"), outcome(tmp_path / "whole")
    assert ours == theirs
    assert our_lines == their_lines
    # The parent keeps what it had.
    assert (parent / "checkpoints" / "step-00000006.ckpt").exists()


def test_nothing_left_to_train_is_said(parent: Path, data_root: Path, tmp_path: Path) -> None:
    options = {"epochs": None, "max_steps": 6, "validate_every": 3, **STEADY}
    step, given = context(data_root, tmp_path, init={"step": "first", "continued": True}, **options)
    with pytest.raises(UPSError, match="has trained 6 steps, and both trainings together shall have 6"):
        step.run(replace(given, artifacts={"simulator": {"first": parent}}))


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            {"bundle": "{parent}", "freeze": ["nothing_like_it"]},
            "no parameter is called like 'nothing_like_it'",
        ),
        ({"bundle": "{parent}", "freeze": ["."]}, "leave nothing to train"),
        ({"bundle": "{parent}/nowhere"}, "is not a saved model"),
    ],
)
def test_what_cannot_be_a_start_is_one_line(
    init: dict[str, Any], message: str, parent: Path, data_root: Path, tmp_path: Path
) -> None:
    named = init | {"bundle": init["bundle"].format(parent=parent / "model")}
    with pytest.raises(UPSError, match=message) as error:
        run(data_root, tmp_path, init=named, epochs=None, max_steps=2)
    assert "\n" not in str(error.value)


def test_another_model_is_no_start(parent: Path, data_root: Path, tmp_path: Path) -> None:
    fno = {"kind": "fno", "width": 8, "modes": 2}
    with pytest.raises(UPSError, match="is another model"):
        run(data_root, tmp_path, init={"bundle": str(parent / "model")}, model=fno, epochs=None, max_steps=2)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({}, "name either a step or a bundle"),
        ({"step": "a", "bundle": "b"}, "name either a step or a bundle"),
        ({"bundle": "b", "continued": True}, "a bundle has no state of an optimizer"),
        ({"step": "a", "continued": True, "freeze": ["x"]}, "remove freeze"),
        ({"bundle": "b", "freeze": ["("]}, "is not a regular expression"),
    ],
)
def test_contradictions_are_refused(
    init: dict[str, Any], message: str, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        context(data_root, tmp_path, init=init)


def test_a_step_that_is_not_there_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write_spec(tmp_path, "lost", 1, stage={"init": {"step": "operater"}})
    found = command(
        "ups", "validate", path, cwd=tmp_path, code=UsageError.exit_code, PYTHONPATH=with_plugin()
    )
    assert "no earlier step has the id 'operater'" in found.stderr
    assert "init.step" in found.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"kind": "fno", "width": 8, "modes": 2}},
            "is a 'latent_operator', and the step trains a 'fno'",
        ),
        (
            {"tasks": {"renamed": SPEC["tasks"]["darcy2d"]}},
            "was trained on advection1d, darcy2d, not on 'renamed'",
        ),
        (
            {"tasks": {"darcy2d": SPEC["tasks"]["advection1d"]}},
            "was trained on another 'darcy2d': kind steady",
        ),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_before_training(
    changes: dict[str, Any], message: str, parent: Path, tmp_path: Path
) -> None:
    path = write_spec(tmp_path, "unfit", 1, stage={"init": {"bundle": str(parent / "model")}}, **changes)
    found = command("ups-run", path, "--plan", cwd=tmp_path, code=2, PYTHONPATH=with_plugin())
    assert message in found.stderr
    assert "init.bundle" in found.stderr


def test_a_flow_starts_from_a_flow_and_from_nothing_else(
    parent: Path, data_root: Path, tmp_path: Path
) -> None:
    before, given = context(data_root, tmp_path / "student", objective="consistency_distillation")
    assert before.config.init is None
    flow = given.inputs["flow"]
    options = {"epochs": None, "max_steps": 2, "validate_every": 2, "select": "last", "ema": None}
    frozen = {"bundle": str(flow / "model"), "freeze": ["^network.codec"]}
    run(data_root, tmp_path / "on", objective="diffusion_residual", init=frozen, **options)
    ours, theirs = weights(tmp_path / "on"), weights(flow)
    same = {name for name in theirs if torch.equal(ours[name], theirs[name])}
    assert {name for name in theirs if name.startswith(("network.codec", "scales"))} <= same
    assert same != theirs.keys()
    init = {"bundle": str(parent / "model")}
    with pytest.raises(UPSError, match="is not a flow or student; start from one"):
        run(data_root, tmp_path / "off", objective="diffusion_residual", init=init, **options)


def with_other_scale(config: Path, task: str) -> None:
    """Double the standard deviation of a saved model's targets."""
    data = read_sealed(config)
    statistics = data["statistics"][task]["target"]
    statistics["std"] = [2 * std for std in statistics["std"]]
    write_sealed(config, data)


def test_a_prior_keeps_the_normaliser_of_the_saved_one(data_root: Path, tmp_path: Path) -> None:
    options = {"objective": "steady_prior", "epochs": None, "max_steps": 2, "validate_every": 2}
    run(data_root, tmp_path / "first", **options)
    bundle = tmp_path / "first" / "model"
    with_other_scale(bundle / "config.json", "darcy2d")
    stage, given = context(data_root, tmp_path / "on", init={"bundle": str(bundle)}, **options)
    inputs = ObjectiveInputs.open(stage.config, given)
    objective: Any = create_objective(stage.objective, stage.config, inputs)
    objective.initialise()
    batch = inputs.data["darcy2d"].trajectories("val").batch([0, 1])
    fields = joint_fields(batch)
    seen = Observations.of_fields(fields, torch.arange(16) % 4 == 0)
    with torch.inference_mode():
        expected = load_prior(bundle).expected(batch, seen)
        assert torch.equal(objective.simulator.eval().expected(batch, seen), expected)


@pytest.mark.parametrize("stage", ["diffusion_residual", "consistency_distillation"])
def test_saved_models_of_different_normalisers_are_refused_in_a_plan(
    stage: str, data_root: Path, tmp_path: Path
) -> None:
    _, given = context(data_root, tmp_path / "student", objective="consistency_distillation")
    consumed = {"diffusion_residual": "operator", "consistency_distillation": "flow"}[stage]
    teacher, flow = tmp_path / "teacher", given.inputs["flow"] / "model"
    shutil.copytree(flow / "operator" if consumed == "operator" else flow, teacher)

    def problems(bundle: Path) -> Any:
        options = {"init": {"bundle": str(bundle)}, "max_steps": 2}
        config = context(data_root, tmp_path / "on", objective=stage, **options)[0].config
        source = context(data_root, tmp_path / "on", init={"bundle": str(teacher)}, max_steps=2)[0].config
        return config.check_inputs({consumed: source.model_copy(update={"model": config.model})})

    assert not problems(flow)
    place = teacher if consumed == "operator" else teacher / "operator"
    with_other_scale(place / "config.json", "darcy2d")
    ((option, message),) = problems(flow)
    assert option == "init.bundle"
    assert message == f"{flow} has another normaliser of 'darcy2d' than {teacher}; take both from one run"
    assert not problems(tmp_path / "nowhere"), "of which `check` tells"


def test_a_flow_of_another_normaliser_is_refused(data_root: Path, tmp_path: Path) -> None:
    _, given = context(data_root, tmp_path / "student", objective="consistency_distillation")
    bundle = tmp_path / "flow"
    shutil.copytree(given.inputs["flow"] / "model", bundle)
    with_other_scale(bundle / "operator" / "config.json", "darcy2d")
    options = {"init": {"bundle": str(bundle)}, "epochs": None, "max_steps": 2, "validate_every": 2}
    with pytest.raises(UPSError, match="has another normaliser of 'darcy2d' than the operator that it"):
        run(data_root, tmp_path / "on", objective="diffusion_residual", **options)
