"""The step worker in real processes: results, failures, restarts, stops, and its end with the launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ups_core import interrupts
from ups_core.cli.run import main as ups_run
from ups_core.layout import partial_directory
from ups_core.plan import Plan
from ups_core.record import write_spec
from ups_core.worker_report import FAILURE, RESULT

MakePlan = Callable[..., Plan]
SLOW = "pipeline.train.epochs=400", "pipeline.train.pause=0.01"


class Workers:
    """Starts workers of one run directory; kills what is left at the end of the test."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.started: list[subprocess.Popen[str]] = []
        write_spec(plan)
        for task in plan.tasks.values():
            task.prepare_data(plan.data_root, None)  # type: ignore[arg-type]

    def start(self, step: str = "train", **environment: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "ups_core.worker",
            str(self.plan.directory),
            step,
            "--data-root",
            "data",
        ]
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.started.append(process)
        return process

    def run(self, step: str = "train", **environment: str) -> tuple[int, str]:
        """Exit code and standard error."""
        process = self.start(step, **environment)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        return process.returncode, errors

    def path(self, name: str, step: str = "train") -> Path:
        return partial_directory(self.plan.directory, step) / name

    def read(self, name: str, step: str = "train") -> Any:
        content = json.loads(self.path(name, step).read_text())
        content.pop("sha256", None)
        return content


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def workers(make: MakePlan) -> Iterator[Callable[..., Workers]]:
    """`workers("KEY=VALUE", ...)` prepares a run directory of the toy spec."""
    made: list[Workers] = []

    def prepare(*overrides: str) -> Workers:
        made.append(Workers(make(*overrides)))
        return made[-1]

    yield prepare
    for process in (process for one in made for process in one.started):
        process.kill()
        process.communicate()


# Results


def test_a_worker_leaves_its_result_beside_the_files_of_the_step(workers: Callable[..., Workers]) -> None:
    work = workers()
    assert work.run() == (0, "")
    assert work.read(RESULT) == {"metrics": {"val/loss": 0.5, "resumed": 0.0}, "verdict": None}
    assert work.read("model.json")["kind"] == "toy/net"
    assert not work.path(FAILURE).exists()


def test_only_rank_0_leaves_the_result(workers: Callable[..., Workers]) -> None:
    work = workers()
    assert work.run(RANK="1", WORLD_SIZE="2") == (0, "")
    assert not work.path(RESULT).exists()
    assert work.run(RANK="0", WORLD_SIZE="2") == (0, "")
    assert work.path(RESULT).exists()


def test_a_worker_resumes_what_an_earlier_one_left(workers: Callable[..., Workers]) -> None:
    work = workers()
    code, errors = work.run(TOY_FAULT="bug:0:1")
    assert code == 1
    assert "error: ZeroDivisionError: one over nothing (traceback: " in errors
    assert work.read("checkpoint.json") == {"tick": 1}
    assert work.run() == (0, "")
    assert work.read(RESULT)["metrics"]["resumed"] == 1.0


def test_a_verdict_is_part_of_the_result(spec_file: Path, workers: Callable[..., Workers]) -> None:
    spec_file.write_text(spec_file.read_text() + "  - {evaluate: toy/gate, id: gate}\n")
    assert ups_run([str(spec_file)]) == 3
    work = workers()
    assert work.run("gate") == (0, "")
    assert work.read(RESULT, "gate")["verdict"] == {
        "passed": False,
        "reason": "width 5, limit 1",
        "stops": False,
    }


# Failures


def test_an_unknown_step_or_an_unreadable_spec_leave_nothing_behind(workers: Callable[..., Workers]) -> None:
    work = workers()
    code, errors = work.run("nobody")
    assert code == 1
    assert errors == "error: unknown step 'nobody'; steps: train, toy-other, score, page\n"
    assert not work.path("", "nobody").exists()
    (work.plan.directory / "spec.yaml").write_text("a: [")
    code, errors = work.run()
    assert code == 2
    assert errors.startswith(f"error: {work.plan.directory}/spec.yaml:1:")


def test_a_rank_reports_to_the_launcher_instead_of_printing(workers: Callable[..., Workers]) -> None:
    work = workers("pipeline.train.fail=true")
    code, errors = work.run(RANK="1", WORLD_SIZE="2")
    assert (code, errors) == (1, "")
    assert work.read(FAILURE) == {
        "rank": 1,
        "attempt": 0,
        "message": "the loss is nan at epoch 3; lower the learning rate",
    }


def test_a_bug_of_a_rank_leaves_its_traceback_in_a_file(workers: Callable[..., Workers]) -> None:
    work = workers()
    assert work.run(RANK="3", TOY_FAULT="bug:3:0") == (1, "")
    log = work.path("error-rank3.log")
    assert "ZeroDivisionError: one over nothing" in log.read_text()
    assert "Traceback" in log.read_text()
    assert work.read(FAILURE)["message"] == f"ZeroDivisionError: one over nothing (traceback: {log})"


@pytest.mark.parametrize(("first", "second", "reported"), [("0", "0", 1), ("0", "1", 0), ("1", "0", 1)])
def test_the_first_rank_that_fails_in_the_newest_attempt_is_reported(
    first: str, second: str, reported: int, workers: Callable[..., Workers]
) -> None:
    """The others only see that it is gone, and what an earlier attempt left does not count."""
    work = workers("pipeline.train.fail=true")
    assert work.run(RANK="1", TORCHELASTIC_RESTART_COUNT=first)[0] == 1
    assert work.run(RANK="0", TORCHELASTIC_RESTART_COUNT=second)[0] == 1
    assert work.read(FAILURE)["rank"] == reported


def test_a_request_for_a_restart_says_so(workers: Callable[..., Workers]) -> None:
    work = workers()
    assert work.run(RANK="0", TOY_FAULT="restart:0:1") == (1, "")
    assert work.read(FAILURE) == {
        "rank": 0,
        "attempt": 0,
        "message": "out of memory: batches are now split into 2 micro-batches",
        "again": True,
    }


# Stops


def stop(work: Workers, number: signal.Signals, **environment: str) -> tuple[int, str]:
    """Stop a worker between two ticks; exit code and standard error."""
    process = work.start(**environment)
    until(work.path("checkpoint.json").exists)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_stopped_worker_saves_and_exits_with_the_code(
    number: signal.Signals, workers: Callable[..., Workers]
) -> None:
    work = workers(*SLOW)
    code, errors = stop(work, number)
    assert code == 128 + number
    assert f"{number.name}: stopping with a checkpoint after this batch" in errors
    assert errors.endswith(f"error: interrupted ({number.name}); rerun the same command to resume\n")
    assert 0 < work.read("checkpoint.json")["tick"] < 400


def test_a_stopped_rank_has_not_failed(workers: Callable[..., Workers]) -> None:
    """After a failure torchrun would start all ranks again."""
    work = workers(*SLOW)
    code, _ = stop(work, signal.SIGTERM, RANK="0", WORLD_SIZE="1")
    assert code == 0
    failure = work.read(FAILURE)
    assert failure["stopped"] == 143
    assert failure["message"] == "interrupted (SIGTERM); rerun the same command to resume"


def test_the_time_limit_stops_a_worker(workers: Callable[..., Workers]) -> None:
    work = workers(*SLOW, "trainer.max_time=0.2")
    code, errors = work.run()
    assert code == interrupts.OUT_OF_TIME
    assert errors == "error: interrupted (out of time); rerun the same command to resume\n"
    assert work.path("checkpoint.json").exists()


PARENT = """\
import subprocess, sys, time
process = subprocess.Popen(sys.argv[1:])
print(process.pid, flush=True)
time.sleep(600)
"""


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_a_worker_ends_with_its_launcher(workers: Callable[..., Workers]) -> None:
    """A killed launcher cannot stop its workers, and its lock is gone: another run may begin any moment."""
    work = workers(*SLOW, "pipeline.train.epochs=100000")
    command = [
        sys.executable,
        "-m",
        "ups_core.worker",
        str(work.plan.directory),
        "train",
        "--data-root",
        "data",
    ]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    work.started.append(parent)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    until(work.path("checkpoint.json").exists)
    assert alive(worker)
    parent.kill()
    parent.wait()
    until(lambda: not alive(worker))


# The complete protocol, with a launcher of two ranks


@pytest.fixture
def ranks(spec_file: Path) -> Path:
    """The toy spec on two ranks."""
    text = spec_file.read_text().replace("trainer: {", "launcher: toy/ranks\ntrainer: {devices: 2, ")
    text = text.replace("[toy/constant, toy/other]", "[toy/constant]")
    spec_file.write_text(text)
    return spec_file


def record() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_ranks_give_the_metrics_of_one_process(ranks: Path) -> None:
    assert ups_run([str(ranks)]) == 0
    two = record()
    assert two["metrics"]["train/val/loss"] == 0.5
    assert Path("data/executions.txt").read_text().split() == ["train", "score", "page"]
    (directory,) = Path("runs").iterdir()
    assert sorted(path.name for path in (directory / "steps" / "train").iterdir()) == [
        "checkpoint.json",
        "model.json",
        "step.json",
    ], "nothing of the protocol is left"


def test_a_failed_rank_fails_the_step_with_its_own_words(
    ranks: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "error:1:1")
    assert ups_run([str(ranks)]) == 1
    expected = "error: step 'train' failed: rank 1 of 2: rank 1 has lost its data; copy them again\n"
    assert capfd.readouterr().err.endswith(expected)
    assert record()["steps"][0]["status"] == "failed"
    monkeypatch.delenv("TOY_FAULT")
    assert ups_run([str(ranks)]) == 0, "the same command resumes"


def test_a_killed_rank_is_reported_by_the_launcher(
    ranks: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "kill:1:1")
    assert ups_run([str(ranks)]) == 1
    expected = "error: step 'train' failed: rank 1 of 2: ended with code -9\n"
    assert capfd.readouterr().err.endswith(expected)


def test_a_rank_may_ask_for_another_attempt(
    ranks: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "restart:1:1")
    assert ups_run([str(ranks)]) == 0
    said = capfd.readouterr().err
    assert said.count("  out of memory: batches are now split into 2 micro-batches\n") == 1
    executions = Path("data/executions.txt").read_text().split()
    assert executions == ["train", "train", "score", "page"], "rank 0 started twice"


def test_a_stopped_rank_stops_the_run(
    ranks: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "stop:0:0")
    change = "--set", "pipeline.train.epochs=20", "--set", "pipeline.train.pause=0.05"
    assert ups_run([str(ranks), *change]) == 143
    assert capfd.readouterr().err.endswith("interrupted (SIGTERM); rerun the same command to resume\n")
    assert record()["status"] == "interrupted"
    monkeypatch.delenv("TOY_FAULT")
    assert ups_run([str(ranks), *change]) == 0
    assert record()["metrics"]["train/resumed"] == 1.0


def test_a_rank_leaves_without_finalising_the_interpreter() -> None:
    """A thread that wants the interpreter's lock during finalisation, as gloo's do, would abort the rank."""
    script = """if True:
        import atexit, weakref
        from ups_core.worker import leave
        class Never:
            def __del__(self): print("finalised")
        kept = Never()
        atexit.register(print, "exit functions")
        print("output", end=" ")
        leave(3)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout == "output exit functions\n"
