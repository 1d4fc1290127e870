"""Tasks without a spec, and sources chosen by name: what is created, and what is said of mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ups_data
from listener import Listener
from ups_core import DataPlan, UPSError, UsageError
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_data.prepare.opening import TaskData
from ups_data.sources.auto import Auto
from ups_data.sources.config import AutoConfig, GenerateConfig, OfficialConfig
from ups_data.sources.generated import Generate
from ups_data.sources.official import Official, file_digest, find_official
from ups_data.tasks.advection1d import ADVECTION, Advection1d
from ups_data.tasks.base import SplitFractions, Task
from ups_data.tasks.burgers1d import Burgers1d
from ups_data.tasks.create import create_task, prepare_task
from ups_data.tasks.darcy2d import Darcy2d

TINY: dict[str, Any] = {"trajectories": 10, "resolution": 16, "frames": 3}


@pytest.mark.parametrize(
    ("kind", "cls"), [("advection1d", Advection1d), ("burgers1d", Burgers1d), ("darcy2d", Darcy2d)]
)
def test_a_task_is_created_by_its_name(kind: str, cls: type[Task]) -> None:
    task = create_task(kind, {})
    assert type(task) is cls
    assert (task.name, task.info.name, task.info.family) == (kind, kind, kind)
    assert task.request.trajectories == task.config.trajectories == 1000
    assert task.config.split == SplitFractions(train=0.8, val=0.1, test=0.1)


def test_the_name_of_a_spec_is_the_task_s() -> None:
    entry = registry_in_use().get("tasks", "advection1d")
    task = entry.create(entry.load_config()(), name="fast waves")
    assert task.name == task.info.name == "fast waves"
    assert task.info.family == "advection1d"


def test_all_mistakes_are_in_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        create_task("advection1d", {"beta": [-1.0], "frames": 1, "colour": "red", "trajectories": "many"})
    line = str(caught.value)
    assert line.startswith("advection1d: ")
    assert "\n" not in line
    assert all(key in line for key in ("beta", "frames", "colour", "trajectories"))
    assert caught.value.exit_code == 2


def test_preparing_is_generating_auditing_and_opening(tmp_path: Path) -> None:
    console = Listener()
    data = prepare_task("advection1d", TINY, tmp_path, console)
    assert isinstance(data, TaskData)
    assert [line.split(":")[0] for line in console.lines] == [
        "generating 1D_Advection_Sols_beta0.4.hdf5",
        "auditing advection1d",
    ]
    again = Listener()
    assert prepare_task("advection1d", TINY, str(tmp_path), again).splits == data.splits
    assert again.lines == [], "everything is on disk"


def test_the_package_s_names() -> None:
    assert ups_data.create_task is create_task
    assert ups_data.prepare_task is prepare_task
    with pytest.raises(AttributeError, match="module 'ups_data' has no attribute 'prepare'"):
        ups_data.__getattr__("prepare")


@pytest.mark.parametrize(
    "split", [{"train": 0.5, "val": 0.5, "test": 0.0}, {"train": 1.0, "val": 0.0, "test": 0.0}]
)
def test_a_split_needs_a_share(split: dict[str, float]) -> None:
    with pytest.raises(UPSError, match=r"greater than 0|less than 1"):
        create_task("advection1d", {"split": split})


def test_thirds_add_up_to_one() -> None:
    third = 1 / 3
    assert (
        create_task("darcy2d", {"split": {"train": third, "val": third, "test": third}}).config.split.val
        == third
    )


@pytest.mark.parametrize(
    ("source", "cls", "seed"),
    [
        ("auto", Auto, None),
        ("official", Official, None),
        ("generate", Generate, 2022),
        ({"kind": "generate", "seed": 7}, Generate, 7),
    ],
    ids=str,
)
def test_sources_by_name(source: Any, cls: type, seed: int | None) -> None:
    found = create_task("advection1d", {"source": source}).source
    assert type(found) is cls
    if seed is not None:
        assert found.config.seed == seed  # type: ignore[attr-defined]


def test_a_source_of_one_s_own_needs_a_plan_and_files(tmp_path: Path, console: Console) -> None:
    """Whatever `plan` and `provide` do, the task asks nothing else of its source."""
    generated, calls = Generate(GenerateConfig()), []

    class Recorded:
        def plan(self, request: Any, data_root: Path) -> DataPlan:
            calls.append("plan")
            return generated.plan(request, data_root)

        def provide(self, request: Any, plan: DataPlan, console: Console) -> int:
            calls.append("provide")
            return generated.provide(request, plan, console)

    class Mine(Advection1d):
        @property
        def source(self) -> Any:
            return Recorded()

    plain = create_task("advection1d", TINY)
    assert isinstance(plain, Advection1d)
    mine = Mine(plain.config, "mine")
    mine.prepare_data(tmp_path, console)
    assert calls == ["plan", "provide", "plan"]
    assert len(mine.open(tmp_path).splits.train) == 8


def test_official_files_are_never_created(
    tmp_path: Path, official: Callable[..., Path], console: Console
) -> None:
    official(0.4)
    source = Official(OfficialConfig())
    request = create_task("advection1d", TINY).request
    plan = source.plan(request, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    source.provide(request, plan, console)
    Auto(AutoConfig()).provide(request, plan, console)
    assert sorted(tmp_path.rglob("*")) == before
    assert find_official(ADVECTION.file((0.4,)), tmp_path) == plan.files[0]
    assert find_official(ADVECTION.file((1.0,)), tmp_path) is None
    assert file_digest(plan.files[0]) == file_digest(plan.files[0])


def test_auto_names_every_official_file_that_is_missing(
    tmp_path: Path, official: Callable[..., Path]
) -> None:
    official(0.4)
    task = create_task("advection1d", TINY | {"beta": [0.4, 1.0, 2.0]})
    note = task.plan_data(tmp_path).note
    assert note.startswith("3 files to generate, ")
    assert note.endswith("1D_Advection_Sols_beta1.0.hdf5, 1D_Advection_Sols_beta2.0.hdf5 are missing")
    single = create_task("advection1d", TINY).plan_data(tmp_path / "elsewhere").note
    assert single == "1 file to generate, 0.0 MB"


def test_a_first_run_says_that_it_generated_its_data(tmp_path: Path) -> None:
    task = create_task("advection1d", TINY)
    first = task.prepare_data(tmp_path, Console(quiet=True))["note"]
    assert first.startswith("1 file generated by this run")
    assert "already" not in first
    assert task.prepare_data(tmp_path, Console(quiet=True))["note"].startswith("already generated")
