"""The launcher `torchrun`: what it says, what it starts, how ends of its processes are passed on."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from ups_core import UPSError
from ups_core.console import Console
from ups_core.interrupts import Interrupted
from ups_core.launcher import IN_PROCESS
from ups_core.layout import partial_directory
from ups_core.plugin_loader import registry_in_use
from ups_core.sealed import write_sealed
from ups_core.step import StepResult
from ups_core.worker_report import FAILURE, RESULT
from ups_train.parallel import torchrun
from ups_train.parallel.config import TorchrunConfig
from ups_train.parallel.torchrun import Torchrun

QUIET = Console(quiet=True)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the launcher sets is undone."""
    for name in ("OMP_NUM_THREADS", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def planned(
    folder: Path, devices: int = 2, threads: int | None = None, distributed: bool = True
) -> tuple[Any, Any]:
    """A plan and its only step, as far as a launcher looks at them."""
    trainer = SimpleNamespace(devices=devices, threads=threads)
    config = SimpleNamespace(distributed=distributed)
    step = SimpleNamespace(id="operator", spec=SimpleNamespace(config=config))
    plan = SimpleNamespace(
        directory=folder / "run 1", data_root=folder / "data", spec=SimpleNamespace(trainer=trainer)
    )
    partial_directory(plan.directory, step.id).mkdir(parents=True)
    return plan, step


class Elastic:
    """Stands for torch elastic: notes what it would start, then does what the test says."""

    def __init__(self, *ends: Callable[[], None]) -> None:
        self.ends = list(ends)
        self.configs: list[Any] = []
        self.commands: list[list[str]] = []

    def __call__(self, config: Any, executable: str) -> Callable[..., None]:
        self.configs.append(config)

        def launch(*command: str) -> None:
            self.commands.append([executable, *command])
            self.ends.pop(0)()

        return launch


def start(
    monkeypatch: pytest.MonkeyPatch, plan: Any, step: Any, *ends: Callable[[], None], restarts: int = 0
) -> tuple[StepResult, Elastic]:
    elastic = Elastic(*ends)
    monkeypatch.setattr(torchrun, "elastic_launch", elastic)
    result = Torchrun(TorchrunConfig(restarts=restarts)).run(plan, step, QUIET)
    return result, elastic


def leaves(plan: Any, name: str, **content: Any) -> Callable[[], None]:
    """An end of the processes that leaves a file."""

    def end() -> None:
        path = partial_directory(plan.directory, "operator") / name
        write_sealed(path, content)

    return end


def succeeds(plan: Any) -> Callable[[], None]:
    return leaves(plan, RESULT, **StepResult({"val/nrmse": 0.5}).to_dict())


def fails(rank: int, code: int) -> Callable[[], None]:
    """A process that ends without a word."""

    def end() -> None:
        failure = ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="")
        raise ChildFailedError("worker", {rank: failure})

    return end


# What it says


@pytest.mark.parametrize(("devices", "restarts"), [(2, 0), (8, 3)])
def test_the_described_command_is_one_of_torchrun(tmp_path: Path, devices: int, restarts: int) -> None:
    plan, step = planned(tmp_path, devices)
    words = shlex.split(Torchrun(TorchrunConfig(restarts=restarts)).describe(plan, step))
    assert words == [
        "torchrun",
        "--standalone",
        f"--nproc-per-node={devices}",
        f"--max-restarts={restarts}",
        "-m",
        "ups_core.worker",
        str(plan.directory),
        "operator",
        "--data-root",
        str(plan.data_root),
    ]


@pytest.mark.parametrize(("devices", "distributed"), [(1, True), (2, False), (1, False)])
def test_what_needs_no_other_process_runs_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: int, distributed: bool
) -> None:
    plan, step = planned(tmp_path, devices, distributed=distributed)
    launcher = Torchrun(TorchrunConfig())
    assert launcher.describe(plan, step) == IN_PROCESS
    result = StepResult({"x": 1.0})
    monkeypatch.setattr(torchrun, "execute", lambda *given: result if given == (plan, step, QUIET) else None)
    monkeypatch.setattr(torchrun, "elastic_launch", None)
    assert launcher.run(plan, step, QUIET) is result
    assert "OMP_NUM_THREADS" not in os.environ


# What it starts


def test_a_process_for_every_device_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path, devices=4)
    result, elastic = start(monkeypatch, plan, step, succeeds(plan), restarts=3)
    assert result.metrics == {"val/nrmse": 0.5}
    (config,) = elastic.configs
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (1, 1, 4)
    assert config.max_restarts == 3
    assert config.local_addr == "127.0.0.1"
    assert elastic.commands == [
        [
            sys.executable,
            "-m",
            "ups_core.worker",
            str(plan.directory),
            "operator",
            "--data-root",
            str(plan.data_root),
        ]
    ]


def test_two_launches_never_meet(tmp_path: Path) -> None:
    launcher = Torchrun(TorchrunConfig())
    one, two = (launcher._launch_config(2, str(tmp_path)) for _ in range(2))
    assert one.run_id != two.run_id
    assert one.rdzv_endpoint == "localhost:0", "any free port"


@pytest.mark.parametrize(
    ("threads", "cores", "devices", "expected"), [(3, 8, 2, "3"), (None, 8, 2, "4"), (None, 2, 4, "1")]
)
def test_processes_share_the_cores(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int | None,
    cores: int,
    devices: int,
    expected: str,
) -> None:
    monkeypatch.setattr(torchrun, "available_cores", lambda: cores)
    plan, step = planned(tmp_path, devices, threads)
    start(monkeypatch, plan, step, succeeds(plan))
    assert os.environ["OMP_NUM_THREADS"] == expected


def test_threads_of_the_environment_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    plan, step = planned(tmp_path, threads=3)
    start(monkeypatch, plan, step, succeeds(plan))
    assert os.environ["OMP_NUM_THREADS"] == "7"


# How it ends


def test_a_failed_process_is_named_by_its_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path, devices=4)
    with pytest.raises(UPSError, match=r"^rank 2 of 4: ended with code 9; its output is above$"):
        start(monkeypatch, plan, step, fails(2, 9))


def test_the_message_of_the_process_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path)

    def end() -> None:
        leaves(plan, FAILURE, message="loss is not finite", rank=1)()
        fails(0, 1)()

    with pytest.raises(UPSError, match=r"^rank 1 of 2: loss is not finite$"):
        start(monkeypatch, plan, step, end)


def test_a_requested_restart_is_another_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path)

    def again() -> None:
        leaves(plan, FAILURE, message="out of memory", again=True)()
        fails(0, 1)()

    result, elastic = start(monkeypatch, plan, step, again, again, succeeds(plan))
    assert result.metrics == {"val/nrmse": 0.5}
    assert len(elastic.commands) == 3
    left = {path.name for path in partial_directory(plan.directory, step.id).iterdir()}
    assert not left & {RESULT, FAILURE}


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_a_signal_is_a_stop_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: int, code: int
) -> None:
    plan, step = planned(tmp_path)

    def end() -> None:
        import signal as signals

        raise SignalException("stopped", sigval=signals.Signals(signal))

    with pytest.raises(Interrupted) as raised:
        start(monkeypatch, plan, step, end)
    assert raised.value.code == code


def test_processes_that_stopped_in_time_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path)

    def end() -> None:
        leaves(plan, FAILURE, stopped=75)()
        fails(0, 75)()

    with pytest.raises(Interrupted) as raised:
        start(monkeypatch, plan, step, end)
    assert raised.value.code == 75


def test_a_result_that_is_there_already_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, step = planned(tmp_path)
    succeeds(plan)()
    result, elastic = start(monkeypatch, plan, step)
    assert result.metrics == {"val/nrmse": 0.5}
    assert not elastic.commands


def test_it_is_registered_with_its_options() -> None:
    entry = registry_in_use().get("launchers", "torchrun")
    launcher = entry.create(TorchrunConfig(restarts=2))
    assert isinstance(launcher, Torchrun)
    assert launcher.config.restarts == 2
    assert not launcher.config.remote
