"""What all launchers of workers share: attempts until there is a result, a failure or a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from damage import DAMAGE
from ups_core import StepResult, UPSError, Verdict
from ups_core.console import Console
from ups_core.files import write_json
from ups_core.interrupts import Interrupted
from ups_core.launchers.worker_attempts import Ended, run_attempts, worker_module
from ups_core.layout import partial_directory
from ups_core.plan import Plan
from ups_core.worker_report import FAILURE, RESULT, write_result


class Attempts:
    """Attempts that leave files and end as a test says."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.step = plan.step("train")
        self.directory = partial_directory(plan.directory, "train")
        self.directory.mkdir(parents=True)
        self.seen: list[list[str]] = []
        """Files that were there when each attempt began."""

    def result(self, **metrics: float) -> None:
        write_result(self.directory, StepResult(metrics))

    def failure(self, **details: Any) -> None:
        write_json(self.directory / FAILURE, {"rank": 1, "attempt": 0, "message": "no memory left"} | details)

    def run(self, *attempts: Callable[[], Ended | None]) -> StepResult:
        remaining: Iterator[Callable[[], Ended | None]] = iter(attempts)

        def attempt() -> Ended | None:
            self.seen.append(sorted(path.name for path in self.directory.iterdir()))
            return next(remaining)()

        return run_attempts(self.plan, self.step, Console(), attempt)


@pytest.fixture
def attempts(make: Callable[..., Plan]) -> Attempts:
    return Attempts(make("trainer.devices=2", "launcher=toy/ranks"))


def test_a_result_is_collected_and_its_file_removed(attempts: Attempts) -> None:
    result = StepResult({"loss": 0.5}, Verdict(False, "too wide"))

    def succeed() -> None:
        write_result(attempts.directory, result)

    assert attempts.run(succeed) == result
    assert list(attempts.directory.iterdir()) == []


def test_a_result_of_workers_that_no_launcher_waited_for_is_taken(attempts: Attempts) -> None:
    attempts.result(loss=0.25)
    assert attempts.run().metrics == {"loss": 0.25}
    assert attempts.seen == [], "no attempt was made"


def test_a_failure_of_a_rank_takes_precedence(attempts: Attempts) -> None:
    def fail() -> Ended:
        attempts.failure()
        return Ended("ended with code 1", 0)

    with pytest.raises(UPSError, match=r"^rank 1 of 2: no memory left$"):
        attempts.run(fail)


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (Ended("ended with code -9", 1), "rank 1 of 2: ended with code -9"),
        (Ended("ended with code -9", 0), "rank 0 of 2: ended with code -9"),
        (Ended("the job is gone"), "the job is gone"),
    ],
)
def test_without_a_report_the_launcher_says_what_it_saw(
    ended: Ended, message: str, attempts: Attempts
) -> None:
    with pytest.raises(UPSError) as failed:
        attempts.run(lambda: ended)
    assert str(failed.value) == message


def test_a_failure_without_a_rank_is_its_message_alone(attempts: Attempts) -> None:
    def fail() -> Ended:
        attempts.failure(rank=None, message="stopped after 60 s, the budget")
        return Ended("ended with code 124")

    with pytest.raises(UPSError, match=r"^stopped after 60 s, the budget$"):
        attempts.run(fail)


def test_a_restart_is_another_attempt_without_the_old_report(
    attempts: Attempts, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask() -> Ended:
        attempts.failure(again=True, message="batches are now split into 2 micro-batches")
        return Ended("ended with code 1", 1)

    assert attempts.run(ask, ask, lambda: attempts.result(loss=0.5)).metrics == {"loss": 0.5}
    assert attempts.seen == [[], [], []]
    assert capsys.readouterr().err == "  batches are now split into 2 micro-batches\n" * 2


def test_what_failed_attempts_left_goes_when_one_succeeds(attempts: Attempts) -> None:
    def ask() -> Ended:
        attempts.failure(again=True)
        (attempts.directory / "error-rank1.log").write_text("Traceback")
        (attempts.directory / "checkpoint").touch()
        return Ended("ended with code 1", 1)

    def succeed() -> None:
        attempts.result()
        attempts.failure()

    attempts.run(ask, succeed)
    assert [path.name for path in attempts.directory.iterdir()] == ["checkpoint"]


def test_an_old_report_does_not_fail_a_new_attempt(attempts: Attempts) -> None:
    attempts.failure()
    with pytest.raises(UPSError, match=r"^ended with code 1$"):
        attempts.run(lambda: Ended("ended with code 1"))


@pytest.mark.parametrize("ended", [None, Ended("ended with code 1", 0)])
def test_stopped_workers_stop_the_run(ended: Ended | None, attempts: Attempts) -> None:
    def stop() -> Ended | None:
        attempts.failure(stopped=143, message="interrupted (SIGTERM)")
        return ended

    with pytest.raises(Interrupted) as stopped:
        attempts.run(stop)
    assert stopped.value.code == 143


def test_workers_that_finished_while_they_were_stopped_have_a_result(attempts: Attempts) -> None:
    def finish() -> None:
        attempts.failure(stopped=143)
        attempts.result(loss=0.5)

    assert attempts.run(finish).metrics == {"loss": 0.5}


def test_an_attempt_that_raises_ends_all(attempts: Attempts) -> None:
    def stop() -> None:
        raise Interrupted(130)

    with pytest.raises(Interrupted):
        attempts.run(stop, attempts.result)


def test_the_arguments_of_a_worker() -> None:
    arguments = worker_module(Path("runs/a"), "train", Path("data"))
    assert arguments == ["-m", "ups_core.worker", "runs/a", "train", "--data-root", "data"]


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "deleted"])
def test_a_damaged_result_of_earlier_workers_is_made_again(
    attempts: Attempts, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts.result(loss=0.25)
    DAMAGE[damage](attempts.directory / RESULT)

    def succeed() -> None:
        attempts.result(loss=0.5)

    assert attempts.run(succeed).metrics == {"loss": 0.5}
    assert "starting the workers again" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "bit flipped"])
def test_a_damaged_report_of_a_failure_is_what_the_launcher_saw(attempts: Attempts, damage: str) -> None:
    def fail() -> Ended:
        attempts.failure()
        DAMAGE[damage](attempts.directory / FAILURE)
        return Ended("ended with code 1", 0)

    with pytest.raises(UPSError, match=r"^rank 0 of 2: ended with code 1$"):
        attempts.run(fail)
    attempts.result(loss=0.5)
    assert attempts.run().metrics == {"loss": 0.5}
