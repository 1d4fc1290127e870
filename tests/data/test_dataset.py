"""Windows are the right pieces of the right trajectories, as batches of the agreed shapes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ups_data
from ups_core import UPSError
from ups_data import FieldBatch, MultiTaskBatchSampler, MultiTaskLoader, TaskData
from ups_data.batches.windows import Windows
from ups_data.info import Parameter
from ups_data.prepare.conditions import Conditions
from ups_data.prepare.statistics import Statistics
from ups_data.stores import file_store as store_module
from ups_data.stores.file_store import FileStore

ADVECTION = {"beta": [0.4, 1.0], "trajectories": 20, "resolution": 32, "frames": 7, "history": 2}


@pytest.fixture(scope="module")
def advection(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    return ups_data.prepare_task("advection1d", ADVECTION, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def darcy(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    options = {"trajectories": 20, "resolution": 16, "beta": 10.0}
    return ups_data.prepare_task("darcy2d", options, tmp_path_factory.mktemp("data"))


def test_shapes_of_an_evolution(advection: TaskData) -> None:
    batch = advection.windows("train", horizon=3).batch([0, 5, 9])
    assert isinstance(batch, FieldBatch)
    assert len(batch) == 3
    assert batch.task == "advection1d"
    assert batch.loss_weight == 1.0
    shapes = {
        name: tuple(value.shape)
        for name, value in vars(batch).items()
        if name not in ("task", "loss_weight", "forcing")
    }
    assert batch.forcing is None
    assert shapes == {
        "state": (3, 2, 1, 32),
        "static": (3, 0, 32),
        "params": (3, 1),
        "params_mask": (3, 1),
        "dt": (3,),
        "coords": (32, 1),
        "target": (3, 3, 1, 32),
        "index": (3,),
    }
    assert batch.params_mask.all()
    assert batch.dt.tolist() == pytest.approx([0.05] * 3)
    assert {value.dtype for value in (batch.state, batch.params, batch.dt, batch.coords)} == {torch.float32}
    assert (batch.index.dtype, batch.params_mask.dtype) == (torch.int64, torch.bool)


def test_shapes_of_a_steady_task(darcy: TaskData) -> None:
    windows = darcy.windows("val", horizon=5)
    batch = windows.batch(range(len(windows)))
    assert batch.state.shape == (2, 0, 1, 16, 16)
    assert batch.static.shape == (2, 1, 16, 16)
    assert batch.target.shape == (2, 1, 1, 16, 16)
    assert batch.params.tolist() == [[10.0], [10.0]]
    assert batch.dt.tolist() == [0, 0]
    # Row-major: y runs fastest.
    axis = (torch.arange(16) * 8 + 0.5) / 128
    assert torch.equal(batch.coords.reshape(16, 16, 2)[..., 0], axis[:, None].expand(16, 16))
    assert torch.equal(batch.coords.reshape(16, 16, 2)[..., 1], axis.expand(16, 16))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_windows_are_pieces_of_trajectories(advection: TaskData, split: str) -> None:
    whole, windows = advection.trajectories(split), advection.windows(split, horizon=3)
    ids = advection.splits[split]
    assert len(whole) == 2 * len(ids)
    assert len(windows) == 2 * len(ids) * 3
    full = whole.batch(range(len(whole)))
    frames = torch.cat([full.state, full.target], dim=1)
    assert frames.shape[1] == 7
    batch = windows.batch(range(len(windows)))
    pieces = torch.cat([batch.state, batch.target], dim=1).reshape(len(whole), 3, 5, 1, 32)
    for start in range(3):
        assert torch.equal(pieces[:, start], frames[:, start : start + 5])
    assert full.index.tolist() == [*ids, *ids]
    assert [windows.trajectory(i) for i in range(len(windows))] == batch.index.tolist()
    assert full.params[:, 0].tolist() == pytest.approx([0.4] * len(ids) + [1.0] * len(ids))


def test_parameters_belong_to_their_fields(advection: TaskData) -> None:
    batch = advection.trajectories("train").batch(range(32))
    # dt 0.05 at speed 1 on every 32nd of 1024 points: 20 frames are one turn, so compare spectra instead.
    spectrum = torch.fft.rfft(torch.cat([batch.state, batch.target], 1)[:, :, 0], dim=-1)
    turned = torch.angle(spectrum[:, 1:, 1] / spectrum[:, :-1, 1])
    expected = -2 * torch.pi * 0.05 * batch.params
    clear = (spectrum[:, 0, 1].abs() > 1) & (spectrum[:, 0, 1:9].abs().argmax(1) == 0)
    assert clear.sum() > 4
    torch.testing.assert_close(turned[clear], expected.expand_as(turned)[clear], atol=2e-2, rtol=0)


def test_limit_takes_the_first_of_every_parameter(advection: TaskData) -> None:
    some = advection.trajectories("train", limit=2)
    first = list(advection.splits.train[:2])
    assert some.batch(range(4)).index.tolist() == first + first
    assert len(some) == 4


def test_batches_move(advection: TaskData) -> None:
    batch = advection.windows("test", horizon=1).batch([1])
    moved = batch.to("meta")
    assert {moved.state.device.type, moved.coords.device.type, moved.params_mask.device.type} == {"meta"}
    assert moved.index is batch.index, "seeds are derived from it on the host"
    assert moved.task == batch.task


def test_wrong_requests(advection: TaskData) -> None:
    with pytest.raises(UPSError, match=r"horizon 6 does not fit .* 7 frames less 2 given leave 5"):
        advection.windows("train", horizon=6)
    with pytest.raises(UPSError, match="horizon 0"):
        advection.windows("train", horizon=0)
    with pytest.raises(UPSError, match="unknown split 'dev'"):
        advection.trajectories("dev")
    windows = advection.windows("val", horizon=5)
    with pytest.raises(IndexError, match="has 4 windows; window 4 does not exist"):
        windows.batch([0, 4])
    with pytest.raises(IndexError, match="window -1 does not exist"):
        windows.trajectory(-1)


def make_loader(*data: TaskData, workers: int = 0, **options: Any) -> MultiTaskLoader:
    windows = {part.info.name: part.windows("train", horizon=1) for part in data}
    sizes = {name: len(part) for name, part in windows.items()}
    return MultiTaskLoader(windows, MultiTaskBatchSampler(sizes, 16, **options), workers=workers)


@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create 4 worker processes"
)  # more than there are cores
@pytest.mark.parametrize("workers", [0, 2, 4])
def test_loader_gives_every_window_and_resumes(workers: int, advection: TaskData, darcy: TaskData) -> None:
    loader = make_loader(advection, darcy, workers=workers)
    assert len(loader) == 11
    random = torch.get_rng_state()
    batches = list(loader)
    assert torch.equal(torch.get_rng_state(), random), "nothing is drawn"
    alone = list(make_loader(advection, darcy))
    assert [batch.index.tolist() for batch in batches] == [batch.index.tolist() for batch in alone]
    assert all(torch.equal(a.target, b.target) for a, b in zip(batches, alone, strict=True))
    assert sum(len(batch) for batch in batches) == 2 * 16 * 5 + 16
    assert {batch.task for batch in batches} == {"advection1d", "darcy2d"}
    running = iter(loader)
    for _ in range(4):
        next(running)
    resumed = make_loader(advection, darcy, workers=workers)
    resumed.load_state_dict(loader.state_dict())
    tail = list(resumed)
    assert len(tail) == 7
    assert all(torch.equal(a.target, b.target) for a, b in zip(tail, batches[4:], strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_worker_is_the_error(
    workers: int, advection: TaskData, darcy: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = make_loader(advection, darcy, workers=workers)
    read, calls = type(advection.stores.train).frames, iter(range(10**6))

    def broken(self: Any, *arguments: Any) -> Any:
        if next(calls) == 4:
            raise UPSError("file.hdf5: 'tensor' holds NaN")
        return read(self, *arguments)

    monkeypatch.setattr(type(advection.stores.train), "frames", broken)
    with pytest.raises(UPSError, match=r"^file\.hdf5: 'tensor' holds NaN$"):
        list(loader)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what is open in /proc")
def test_a_thousand_epochs_leave_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MEMORY_LIMIT", 0)
    data = ups_data.prepare_task("advection1d", ADVECTION | {"trajectories": 10}, tmp_path)
    windows = {"advection1d": data.windows("train", horizon=4)}
    sampler = MultiTaskBatchSampler({"advection1d": len(windows["advection1d"])}, 16)
    loader = MultiTaskLoader(windows, sampler)
    list(loader)
    files, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for epoch in range(1, 1000):
        loader.set_epoch(epoch)
        for _ in loader:
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    assert threading.active_count() == threads


def test_loader_refuses_a_sampler_of_other_sizes(advection: TaskData) -> None:
    windows = {"advection1d": advection.windows("train", horizon=2)}
    with pytest.raises(UPSError, match=r"draws from \{'advection1d': 3\}, but the windows are"):
        MultiTaskLoader(windows, MultiTaskBatchSampler({"advection1d": 3}, 1))


@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")  # Lightning calls torch's old name
@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice about this machine
@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning.*")
def test_lightning_resumes_the_loader_mid_epoch(tmp_path: Path, advection: TaskData, darcy: TaskData) -> None:
    lightning = pytest.importorskip("lightning")

    class Recorder(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen: list[tuple[str, list[int], float]] = []

        def training_step(self, batch: FieldBatch, _: int) -> torch.Tensor:
            self.seen.append((batch.task, batch.index.tolist(), float(batch.target.sum())))
            return self.weight * batch.target.mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def fit(steps: int, checkpoint: Path | None = None, save: Path | None = None) -> list[Any]:
        class Save(lightning.Callback):  # type: ignore[misc, name-defined]
            def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
                if save and trainer.global_step == steps:
                    trainer.save_checkpoint(save)

        trainer = lightning.Trainer(
            max_steps=steps,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            callbacks=[Save()],
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        module = Recorder()
        trainer.fit(module, make_loader(advection, darcy, seed=5), ckpt_path=checkpoint)
        return module.seen

    whole = fit(30)
    assert whole[:11] != whole[11:22]
    for stop in (4, 11, 15):
        fit(stop, save=tmp_path / "saved.ckpt")
        assert fit(30, checkpoint=tmp_path / "saved.ckpt") == whole[stop:]


def test_import_is_light_and_names_resolve() -> None:
    assert all(getattr(ups_data, name) for name in ups_data.__all__)
    assert not hasattr(ups_data, "nothing_here")


def declaring(data: TaskData, *parameters: Parameter) -> FileStore:
    """The data of a task that declares other parameters."""
    store = data.stores.train
    assert isinstance(store, FileStore)
    info = replace(data.info, parameters=parameters)
    return FileStore(info, store.parts, ("beta",), store.trajectories, store.paired)


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_has_the_parameters_that_its_task_declares(advection: TaskData, count: int) -> None:
    batch = Windows(declaring(advection, *advection.info.parameters[:count]), [0], 1, 1).batch([0, 1])
    assert batch.params.shape == batch.params_mask.shape == (2, count)


def test_data_have_the_declared_parameters(advection: TaskData) -> None:
    with pytest.raises(UPSError, match="'advection1d' declares 2 parameters, but its data have 1"):
        declaring(advection, *advection.info.parameters, Parameter("nu", "1", 0.1, 1.0))


def test_statistics_say_what_the_train_split_varies(advection: TaskData, darcy: TaskData) -> None:
    varied = advection.statistics.conditions
    assert varied == Conditions(((0.4, 1.0),), (False,), (advection.info.dt, advection.info.dt))
    fixed = darcy.statistics.conditions
    assert fixed is not None
    assert (fixed.parameters, fixed.dt) == (((10.0, 10.0),), (0.0, 0.0))
    for statistics in (advection.statistics, darcy.statistics):
        assert Statistics.from_dict(json.loads(json.dumps(statistics.to_dict()))) == statistics
