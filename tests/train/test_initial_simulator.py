"""What a training starts with: fitted on tasks with and without parameters, told what the training varies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import ups_data
from toy_models import component
from ups_data import TaskData
from ups_data.stores.base import SplitStores
from ups_data.stores.file_store import FileStore
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.initial_simulator import fit_simulator, new_simulator


@pytest.fixture(scope="module")
def advection(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    options = {"trajectories": 10, "resolution": 32, "frames": 5, "beta": [0.4]}
    return ups_data.prepare_task("advection1d", options, tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("parameters", [0, 1])
@pytest.mark.parametrize("kind", ["latent_operator", "fno", "unet"])
def test_a_task_needs_no_parameters(advection: TaskData, kind: str, parameters: int) -> None:
    info = replace(advection.info, parameters=advection.info.parameters[:parameters])
    store = advection.stores.train
    assert isinstance(store, FileStore)
    fewer = FileStore(info, store.parts, ("beta",), store.trajectories, store.paired)
    data = {"advection1d": replace(advection, info=info, stores=SplitStores.same(fewer))}
    inputs = ObjectiveInputs(component(kind), data)
    simulator = new_simulator(inputs, augmented=True)
    fit_simulator(simulator, inputs)
    batch = data["advection1d"].windows("train", horizon=2).batch([0, 1, 2])
    loss = (simulator.rollout(batch, 2) - batch.target).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)


@pytest.mark.parametrize("augmented", [True, False])
def test_it_knows_whether_batches_are_transformed(advection: TaskData, augmented: bool) -> None:
    simulator = new_simulator(ObjectiveInputs(component("fno"), {"advection1d": advection}), augmented)
    conditions = simulator.statistics["advection1d"].conditions
    assert conditions is not None
    assert conditions.augmented is augmented
    unknown = replace(advection, statistics=replace(advection.statistics, conditions=None))
    plain = new_simulator(ObjectiveInputs(component("fno"), {"advection1d": unknown}), augmented)
    assert plain.statistics["advection1d"].conditions is None
