"""The contract of objectives: what lacks a part fails early, with one line that names the part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plugin_for_tests import OBJECTIVES
from small_stage import context
from toy_models import component
from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_train.engine.config import TrainingConfig
from ups_train.engine.objective import (
    PARTS,
    Objective,
    ObjectiveInputs,
    check_parts,
    create_objective,
)
from ups_train.engine.stage import TrainingStage, training_stage
from ups_train.stages.operator import OperatorObjective

INPUTS = ObjectiveInputs(component("fno"), {})


class Complete(nn.Module):
    """Every part, none of which does anything."""

    def __init__(self, config: Any = None, inputs: ObjectiveInputs | None = None) -> None:
        super().__init__()
        self.given = config, inputs
        self.layer = nn.Linear(1, 1)

    @property
    def network(self) -> nn.Module:
        return self.layer

    def initialise(self) -> None:
        pass

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        return self.layer.weight.sum()

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        pass

    def scores(self) -> dict[str, Tensor]:
        return {}

    def export(self, network: nn.Module, directory: Path) -> None:
        pass


def without(part: str) -> type[nn.Module]:
    """A class named `Partial` that has all but one part."""

    def init(self: nn.Module, *given: Any) -> None:
        nn.Module.__init__(self)
        self.layer = nn.Linear(1, 1)

    parts = {name: value for name, value in vars(Complete).items() if name in PARTS and name != part}
    return type("Partial", (nn.Module,), {**parts, "__init__": init})


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def test_the_parts_are_those_of_the_protocol() -> None:
    public = {name for name in vars(Objective) if not name.startswith("_")}
    assert public == set(PARTS)


def test_a_complete_objective_is_accepted_as_class_and_as_object() -> None:
    check_parts(Complete)
    check_parts(Complete())


def test_the_factory_gets_options_and_inputs() -> None:
    options = object()
    objective = create_objective(Complete, options, INPUTS)
    assert objective.given == (options, INPUTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named(part: str) -> None:
    kind = without(part)
    message = rf"^the objective Partial has no '{part}' \(see ups_train\.engine\.objective\.Objective\)$"
    with pytest.raises(UPSError, match=message):
        check_parts(kind)
    with pytest.raises(UPSError, match=message):
        check_parts(kind())
    with pytest.raises(UPSError, match=message):
        create_objective(kind, None, INPUTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_stage_of_an_incomplete_class_fails_when_it_is_defined(part: str) -> None:
    with pytest.raises(UPSError, match=f"has no '{part}'"):
        training_stage(without(part))


def test_a_function_is_checked_when_it_has_made_an_objective() -> None:
    made = without("scores")
    factory = training_stage(lambda config, inputs: made())
    stage = factory(TrainingConfig())
    assert isinstance(stage, TrainingStage)
    with pytest.raises(UPSError, match="the objective Partial has no 'scores'"):
        create_objective(stage.objective, stage.config, INPUTS)


def test_the_first_of_several_missing_parts_is_named() -> None:
    with pytest.raises(UPSError, match="the objective Linear has no 'network'"):
        check_parts(nn.Linear(1, 1))


def test_an_objective_must_be_a_module() -> None:
    kind = type("NoModule", (), {name: None for name in PARTS})
    check_parts(kind)
    with pytest.raises(UPSError, match=r"^the objective NoModule must be a torch\.nn\.Module$"):
        create_objective(lambda config, inputs: kind(), None, INPUTS)


def test_a_stage_remembers_its_objective_and_options() -> None:
    config = TrainingConfig(batch_size=3)
    stage = training_stage(Complete)(config)
    assert stage.objective is Complete
    assert stage.config is config


# Inputs


def test_inputs_describe_every_task_of_the_stage(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path)
    inputs = ObjectiveInputs.open(step.config, given)
    assert list(inputs.data) == ["advection1d", "darcy2d"]
    assert {name: info.name for name, info in inputs.tasks.items()} == {name: name for name in inputs.data}
    assert inputs.tasks["advection1d"].kind == "evolution"
    assert inputs.tasks["darcy2d"].shape == (16, 16)
    for name, statistics in inputs.statistics.items():
        assert statistics == inputs.data[name].statistics
        assert all(scale > 0 for scale in statistics.target.std)
    assert inputs.fingerprint == "f"
    assert inputs.artifacts == {}


def test_a_stages_own_model_takes_precedence(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path)
    assert ObjectiveInputs.open(step.config, given).model is given.spec.model
    own = component("fno")
    config = step.config.model_copy(update={"model": own})
    assert ObjectiveInputs.open(config, given).model is own


def test_the_model_of_an_ensemble_takes_noise(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path, objective="ensemble")
    model = ObjectiveInputs.open(step.config, given).model
    assert model.to_dict()["noise"] == {"channels": 4, "hold": False}
    assert given.spec.model.to_dict()["noise"] is None


# In a running stage


class Silent(OperatorObjective):
    """Scores, but not what its stage monitors."""

    def scores(self) -> dict[str, Tensor]:
        return {"val/other": torch.tensor(1.0)}


def test_scores_without_the_monitored_one_end_the_training(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path, max_steps=2)
    with pytest.raises(UPSError, match=r"^the scores of Silent lack 'val/nrmse', which its stage monitors$"):
        TrainingStage(Silent, step.config).run(given)


class Diverged(OperatorObjective):
    """Scores that are not numbers."""

    def scores(self) -> dict[str, Tensor]:
        return {name: torch.tensor(torch.nan) for name in super().scores()}


def test_scores_that_are_not_a_number_count_as_the_worst(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path, max_steps=2)
    metrics = TrainingStage(Diverged, step.config).run(given).metrics
    assert metrics["val/nrmse"] == float("inf")


class Ordered(OperatorObjective):
    """Notes in which order its parts are used."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.calls: list[str] = []
        INSTANCES.append(self)

    def initialise(self) -> None:
        self.calls.append("initialise")
        super().initialise()

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        assert 0 <= progress < 1
        self.calls.append("loss")
        return super().loss(batch, seed, progress)

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        assert not torch.is_grad_enabled()
        assert network is not self.network  # the moving average
        self.calls.append("validate")
        super().validate(network, batch)

    def scores(self) -> dict[str, Tensor]:
        self.calls.append("scores")
        return super().scores()

    def export(self, network: nn.Module, directory: Path) -> None:
        assert next(network.parameters()).device.type == "cpu"
        self.calls.append("export")
        super().export(network, directory)


INSTANCES: list[Ordered] = []


def test_parts_are_used_in_order_and_a_fresh_objective_exports(data_root: Path, tmp_path: Path) -> None:
    INSTANCES.clear()
    step, given = context(data_root, tmp_path, max_steps=4, validate_every=2)
    TrainingStage(Ordered, step.config).run(given)
    trained, fresh = INSTANCES
    changes = [
        name for before, name in zip(["", *trained.calls], trained.calls, strict=False) if name != before
    ]
    assert changes == ["initialise", *["loss", "validate", "scores"] * 2]
    assert trained.calls.count("loss") == 4
    assert fresh.calls == ["export"]


def test_all_objectives_of_these_tests_are_complete(data_root: Path, tmp_path: Path) -> None:
    for name in OBJECTIVES:
        step, given = context(data_root, tmp_path, objective=name)
        objective = create_objective(step.objective, step.config, ObjectiveInputs.open(step.config, given))
        assert isinstance(objective, nn.Module)
        trained = {id(weight) for weight in objective.network.parameters()}
        assert trained <= {id(weight) for weight in objective.parameters()}
