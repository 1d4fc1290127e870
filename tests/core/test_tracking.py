"""Trackers: what they are given, once, of all steps; and that none of them stops a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ups_core import tracking
from ups_core.cli.run import main as ups_run

PLUGIN = """\
import json
import os
import signal
import sys
import time
from pathlib import Path
from ups_core import EvaluationConfig, StageConfig, StepResult, TrackerConfig, UPSError, hookimpl, interrupts
from ups_core.sealed import write_sealed

class LinesConfig(StageConfig):
    produces = ("simulator",)
    count: int = 4
    stop: int = 0

    @property
    def monitor(self):
        return "val/loss"

class Lines:
    '''Writes a line per tick; from the checkpoint on, which is one line behind, when it resumes.'''

    def __init__(self, config):
        self.config = config

    def run(self, context):
        path = context.directory / "metrics.jsonl"
        rank = int(os.environ.get("RANK", 0))
        kept = path.read_text().splitlines()[:-1] if path.exists() else []
        if rank == 0:
            path.write_text("".join(line + "\\n" for line in kept))
            for step in range(len(kept) + 1, self.config.count + 1):
                value = None if step == 2 else 1 / step
                line = {"step": step, "epoch": 0, "val/loss": value, "pid": os.getpid()}
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\\n" + '{"st')
                path.write_text(path.read_text().removesuffix('{"st'))
                stop = Path(f"stop-{step}")
                if stop.exists():
                    kind = stop.read_text()
                    stop.unlink()
                    if kind == "fail":
                        raise UPSError("no more")
                    os.kill(os.getpid(), getattr(signal, kind))
                    time.sleep(0.1)
                    raise interrupts.Interrupted(interrupts.requested())
            (context.directory / "model").mkdir(exist_ok=True)
            (context.directory / "model" / "weights").write_text("w")
        return StepResult({"val/loss": 0.25, "best_step": 4.0})

class JudgeConfig(EvaluationConfig):
    consumes = ("simulator",)
    damaged: bool = False

class Judge:
    def __init__(self, config):
        self.config = config

    def run(self, context):
        secret = os.environ.get("SECRET", "")
        rows = [
            {"label": "nrmse", "value": 0.5, "low": 0.4, "high": None, "bound": "<= 1", "passed": True,
             "reason": f"fine {secret}"},
            {"label": "drift", "value": None, "passed": False},
            "not a criterion",
        ]
        write_sealed(context.directory / "gates.json", {"passed": False, "criteria": rows})
        if self.config.damaged:
            (context.directory / "gates.json").write_text("{}")
        (context.directory / "index.html").write_text("<p>page</p>")
        (context.directory / "figures").mkdir()
        (context.directory / "figures" / "a.png").write_bytes(b"png")
        (context.directory / "predictions.h5").write_bytes(b"0" * 1000)
        return StepResult({"a/nrmse": 0.5, "a/nan": float("nan")})

class SpyConfig(TrackerConfig):
    at: str = ""
    how: str = "raise"

class Spy:
    def __init__(self, config):
        self.config = config
        self.fault("create")

    def fault(self, place):
        if place != self.config.at:
            return
        if self.config.how == "missing":
            raise UPSError("the tracker 'spy' needs spy: pip install spy")
        if self.config.how == "exit":
            sys.exit(5)
        if self.config.how == "disk":
            raise OSError(28, "No space left on device")
        if self.config.how == "hang":
            time.sleep(30)
        raise ConnectionError("network\\nis away")

    def note(self, what, **details):
        with Path("seen.jsonl").open("a") as file:
            print(json.dumps([what, details]), file=file)

    def start(self, run):
        self.fault("start")
        self.note("start", id=run.id, name=run.name, folder=str(run.folder), sent=run.sent, seed=run.spec["seed"],
                  spec=json.dumps(dict(run.spec)))

    def log_metrics(self, step_id, metrics, step):
        self.fault("log_metrics")
        self.note("line", id=step_id, metrics=dict(metrics), step=step)

    def log_step(self, step):
        self.fault("log_step")
        self.note("step", id=step.id, metrics=dict(step.metrics), points=dict(step.points),
                  gates=list(step.gates), model=step.model and step.model.name,
                  files=sorted(path.relative_to(step.directory).as_posix() for path in step.files))

    def finish(self, status):
        self.fault("finish")
        self.note("finish", status=status)

@hookimpl
def ups_register_stages(register):
    register("spy/lines", Lines, config=LinesConfig, summary="writes lines")

@hookimpl
def ups_register_evaluations(register):
    register("spy/judge", Judge, config=JudgeConfig, summary="judges")

@hookimpl
def ups_register_trackers(register):
    register("spy", Spy, config=SpyConfig, summary="notes everything")
"""
SPEC = """\
version: 1
name: spied
seed: 3
tasks: {a: {kind: toy/line}}
model: {kind: toy/net}
trainer: {strategy: toy/one}
trackers: [spy]
pipeline:
  - {stage: spy/lines, id: train}
  - {evaluate: spy/judge, id: gate}
"""
LINES = [1, 2, 3, 4]


@pytest.fixture
def spec(tmp_path: Path, toy: None, install: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    install("spy", PLUGIN)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,spy")
    path = tmp_path / "spied.yaml"
    path.write_text(SPEC)
    return path


def seen(*kinds: str) -> list[tuple[str, dict[str, Any]]]:
    path = Path("seen.jsonl")
    lines = [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line[0] in kinds or not kinds]


def steps(kind: str = "line") -> list[Any]:
    return [details["step" if kind == "line" else "id"] for _, details in seen(kind)]


def test_one_tracker_run_has_all_steps(spec: Path) -> None:
    assert ups_run([str(spec)]) == 0
    (run,) = Path("runs").iterdir()
    assert [what for what, _ in seen()] == ["start", *["line"] * 4, "step", "step", "finish"]
    start = seen("start")[0][1]
    assert (start["name"], start["sent"], start["seed"]) == (run.name, 0, 3)
    assert start["folder"] == str(run / "trackers" / "spy")
    assert steps() == LINES
    first, second = (details["metrics"] for _, details in seen("line")[:2])
    assert {key: first[key] for key in ("train/epoch", "train/val/loss")} == {
        "train/epoch": 0.0,
        "train/val/loss": 1.0,
    }
    assert set(first) - set(second) == {"train/val/loss"}, "what is not finite is left out"
    train, gate = (details for _, details in seen("step"))
    assert train["metrics"] == {"train/val/loss": 0.25, "train/best_step": 4.0}
    assert train["points"] == {"train/best_step": 4.0}, "the curve has the other one"
    assert (train["model"], train["files"], train["gates"]) == ("model", [], [])
    assert gate["metrics"] == gate["points"] == {"gate/a/nrmse": 0.5}
    assert gate["files"] == ["figures/a.png", "index.html"], "predictions are not sent"
    assert [row["label"] for row in gate["gates"]] == ["nrmse", "drift"]
    assert seen()[-1] == ("finish", {"status": "completed"})


def test_a_second_command_sends_nothing(spec: Path) -> None:
    ups_run([str(spec)])
    before = seen()
    assert ups_run([str(spec)]) == 0
    assert seen() == before


@pytest.mark.parametrize(("kind", "code", "status"), [("fail", 1, "failed"), ("SIGTERM", 143, "interrupted")])
def test_a_resumed_run_continues_and_repeats_no_line(spec: Path, kind: str, code: int, status: str) -> None:
    Path("stop-3").write_text(kind)
    assert ups_run([str(spec)]) == code
    assert (steps(), seen()[-1]) == ([1, 2, 3], ("finish", {"status": status}))
    assert ups_run([str(spec)]) == 0
    assert steps() == LINES
    first, second = (details for _, details in seen("start"))
    assert second["id"] == first["id"]
    assert second["sent"] == 3
    assert steps("step") == ["train", "gate"]


def test_a_killed_run_continues_and_repeats_no_line(spec: Path) -> None:
    command = [sys.executable, "-m", "ups_core.cli.run", str(spec)]
    Path("stop-4").write_text("SIGKILL")
    killed = subprocess.run(command, env=os.environ, stderr=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    known = steps()
    assert ups_run([str(spec)]) == 0
    assert steps() == LINES, f"before: {known}"
    assert len({details["id"] for _, details in seen("start")}) == 1


def test_a_step_that_starts_again_is_sent_again(spec: Path) -> None:
    ups_run([str(spec)])
    assert ups_run([str(spec), "--from", "train"]) == 0
    assert steps() == [*LINES, *LINES]
    assert steps("step") == ["train", "gate", "train", "gate"]


def test_a_changed_spec_has_a_tracker_run_with_the_steps_that_it_keeps(spec: Path) -> None:
    ups_run([str(spec)])
    assert ups_run([str(spec), "--set", "pipeline.gate.damaged=true"]) == 0
    first, second = (details for _, details in seen("start"))
    assert first["id"] != second["id"]
    assert steps() == [*LINES, *LINES]
    assert seen("step")[-1][1]["gates"] == [], "a damaged file of gates is left out"


def test_lines_of_worker_processes_are_sent_by_this_one(spec: Path) -> None:
    options = ["launcher=toy/ranks", "trainer.devices=2", "trainer.strategy=toy/many"]
    source = Path("site/toy_plugin.py")
    source.write_text(source.read_text().replace('"toy/one"', '"toy/many"'))
    arguments = [word for option in options for word in ("--set", option)]
    assert ups_run([str(spec), *arguments]) == 0
    assert steps() == LINES
    workers = {details["metrics"]["train/pid"] for _, details in seen("line")}
    assert workers != {os.getpid()}, "the training ran elsewhere"


def test_secrets_stay_secret(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "very-secret-value")
    spec.write_text(SPEC.replace("trackers: [spy]", "trackers: [{kind: spy, at: '${env:SECRET}'}]"))
    assert ups_run([str(spec)]) == 0
    content = Path("seen.jsonl").read_text()
    assert "very-secret-value" not in content
    assert "${env:SECRET}" in seen("start")[0][1]["spec"]
    assert seen("step")[-1][1]["gates"][0]["reason"] == "fine ${env:SECRET}"


FAULTS = ["create", "start", "log_metrics", "log_step", "finish"]
REASONS = {
    "raise": "ConnectionError: network is away",
    "exit": "SystemExit: 5",
    "disk": "OSError: [Errno 28] No space left on device",
}


# At creation, code that ends the process is an error, as in any factory.
@pytest.mark.parametrize(
    ("at", "how"), [(at, how) for at in FAULTS for how in REASONS if (at, how) != ("create", "exit")]
)
def test_a_tracker_that_fails_stops_nothing(
    spec: Path, at: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("[spy]", f"[{{kind: spy, at: {at}, how: {how}}}, spy]"))
    assert ups_run([str(spec)]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tracker")]
    assert said == [f"tracker spy: {REASONS[how]}; the run continues without it"]
    ends = [details for what, details in seen("finish")]
    assert ends == [{"status": "completed"}], "the other tracker got everything"
    (run,) = Path("runs").iterdir()
    assert sorted(path.name for path in (run / "trackers").iterdir()) == (
        ["spy-2"] if at == "create" else ["spy", "spy-2"]
    )


@pytest.mark.parametrize("at", ["start", "log_step", "finish"])
def test_a_tracker_that_hangs_is_left_alone(
    spec: Path, at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 0.2)
    assert ups_run([str(spec), "--set", f"trackers.0.at={at}", "--set", "trackers.0.how=hang"]) == 0
    said = capsys.readouterr().err
    assert said.count("tracker spy: no answer within 0 s; the run continues without it\n") == 1
    assert not seen("finish")


def test_a_missing_package_is_an_error_before_anything_runs(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "trackers.0.at=create", "--set", "trackers.0.how=missing"]
    assert ups_run([str(spec), *options]) == 1
    assert capsys.readouterr().err == "error: the tracker 'spy' needs spy: pip install spy\n"
    assert not Path("runs").exists()


def test_an_object_without_the_methods_is_refused(
    spec: Path, install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        "former",
        "from ups_core import TrackerConfig, hookimpl\n@hookimpl\ndef ups_register_trackers(register):\n"
        "    register('former', lambda config: object(), config=TrackerConfig, summary='')\n",
    )
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,spy,former")
    assert ups_run([str(spec), "--set", "trackers=[former]"]) == 1
    expected = "error: tracker 'former' of former 0.1: its object has no 'start'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "damage", ["", "[]", '{"id": "../../x"}', '{"id": "01234567", "lines": 3}', "link", "folder"]
)
def test_a_damaged_note_starts_a_new_tracker_run(spec: Path, tmp_path: Path, damage: str) -> None:
    Path("stop-3").write_text("fail")
    ups_run([str(spec)])
    (note,) = Path("runs").glob("*/trackers/spy/sent.json")
    if damage == "link":
        elsewhere = tmp_path / "elsewhere"
        note.parent.rename(elsewhere)
        note.parent.symlink_to(elsewhere)
        before = (elsewhere / "sent.json").read_text()
    elif damage == "folder":
        note.unlink()
        note.mkdir()
    else:
        note.write_text(damage)
    assert ups_run([str(spec)]) == 0
    first, second = (details["id"] for _, details in seen("start"))
    assert first != second
    if damage == "link":
        assert (elsewhere / "sent.json").read_text() == before, "nothing is written through a link"
    assert steps() == [1, 2, 3, *LINES]


def test_no_thread_is_left_behind(spec: Path) -> None:
    before = set(threading.enumerate())
    ups_run([str(spec)])
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
