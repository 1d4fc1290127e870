"""A plugin that tries to end the process, or whose parts are broken: one line names it, and others work."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_core.interrupts import Interrupted
from ups_core.plugin_calls import PluginExit, plugin_call
from ups_core.plugin_loader import registry_in_use

EXITS = [
    "sys.exit(0)",
    "sys.exit('bye')",
    "raise SystemExit",
    "raise GeneratorExit",
    "raise KeyboardInterrupt",
]
HOOKS = [
    "ups_run_started(run)",
    "ups_step_started(run, step)",
    "ups_step_finished(run, step)",
    "ups_run_finished(run)",
]


def lines(output: pytest.CaptureResult[str]) -> list[str]:
    assert "Traceback" not in output.err
    return output.err.splitlines()


@pytest.mark.parametrize("exit_by", EXITS)
def test_an_import_that_ends_the_process_is_a_failure(
    install: Any, exit_by: str, capfd: pytest.CaptureFixture[str]
) -> None:
    install("leaver", f"import sys\n{exit_by}\n")
    install(
        "printer",
        "print('hello')\nfrom ups_core import ModelConfig, hookimpl\n@hookimpl\ndef ups_register_models(register):\n    register('printer/net', 'a:b', config=ModelConfig, summary='50 % off')\n",
    )
    for command in (["schema"], ["plugins", "--json"], ["list", "--json"]):
        assert ups(command) == 0
        output = capfd.readouterr()
        json.loads(output.out)
        assert "Traceback" not in output.err
    (failure,) = registry_in_use().failures
    assert str(failure).startswith("plugin leaver (leaver 0.1) failed: ")
    assert failure.error.split(":")[0] in ("SystemExit", "GeneratorExit", "KeyboardInterrupt")
    assert registry_in_use().find("models", "printer/net") is not None


@pytest.mark.parametrize("exit_by", EXITS)
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_ends_the_process_fails_the_run(
    spec_file: Path,
    install: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    hook: str,
    exit_by: str,
) -> None:
    install("leaver", f"import sys\nfrom ups_core import hookimpl\n@hookimpl\ndef {hook}:\n    {exit_by}\n")
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,leaver")
    assert ups_run([str(spec_file)]) == 1
    last = lines(capfd.readouterr())[-1]
    assert last.startswith(f"error: plugin leaver: {hook.partition('(')[0]} raised ")
    assert last.endswith("which must not end the process")
    (record,) = Path("runs").glob("*/run.json")
    content = json.loads(record.read_text())
    assert content["status"] == ("completed" if "run_finished" in hook else "failed")
    assert not any(step["status"] == "running" for step in content["steps"])
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin")
    install("another", "")
    assert ups_run([str(spec_file)]) == 0, "finished steps stay, and the run continues without the plugin"


PARTS = """\
import sys
from ups_core import DataPlan, EvaluationConfig, LauncherConfig, ModelConfig, StepResult, TaskConfig, hookimpl

WHERE = {where!r}


def leave(place):
    if place == WHERE:
        {exit_by}


class TaskOptions(TaskConfig):
    pass


class Task:
    def __init__(self, config, name):
        leave("task")

    def describe(self, data_root):
        leave("describe")

    def plan_data(self, data_root):
        leave("plan")
        return DataPlan("0" * 64, "generated", ())

    def prepare_data(self, data_root, console):
        leave("prepare")
        return {{"source": "x", "fingerprint": "0" * 64}}

    def open(self, data_root):
        pass


class NetOptions(ModelConfig):
    def check(self, tasks):
        leave("model check")
        return ()


class StepOptions(EvaluationConfig):
    def check(self, tasks, model):
        leave("step check")
        return ()


class Step:
    def __init__(self, config):
        leave("step")

    def run(self, context):
        leave("run")
        return StepResult()


class Launcher:
    def __init__(self, config):
        leave("launcher")

    def describe(self, plan, step):
        leave("describe")
        return "here"

    def run(self, plan, step, console):
        leave("launch")
        from ups_core.execution import execute

        return execute(plan, step, console)


@hookimpl
def ups_register_tasks(register):
    register("bad/task", Task, config=TaskOptions, summary="a")


@hookimpl
def ups_register_models(register):
    register("bad/net", "a:b", config=NetOptions, summary="a")


@hookimpl
def ups_register_evaluations(register):
    register("bad/step", Step, config=StepOptions, summary="a")


@hookimpl
def ups_register_launchers(register):
    register("bad/launcher", Launcher, config=LauncherConfig, summary="a")
"""
SPEC = """\
version: 1
name: bad
tasks: {a: bad/task}
model: bad/net
trainer: {strategy: toy/one}
launcher: bad/launcher
pipeline: [{evaluate: bad/step}]
"""
PLACES = [
    "task",
    "describe",
    "plan",
    "prepare",
    "model check",
    "step check",
    "step",
    "run",
    "launcher",
    "launch",
]


@pytest.mark.parametrize(
    "exit_by", ["sys.exit(0)", "raise GeneratorExit", "raise KeyboardInterrupt", "1 / 0"]
)
@pytest.mark.parametrize("where", [*PLACES, "describe"])
def test_no_part_of_a_plugin_ends_the_process(
    toy: None,
    install: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: str,
    exit_by: str,
) -> None:
    install("bad", PARTS.format(where=where, exit_by=exit_by))
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,bad")
    Path("bad.yaml").write_text(SPEC)
    code = ups_run(["bad.yaml", *(["--dry-run"] if where == "describe" else [])])
    if exit_by == "raise KeyboardInterrupt" and where in ("run", "launch"):
        assert code == 130, "as Ctrl+C: a step may stop its run"
        return
    assert code in (1, 2)
    (line,) = [text for text in lines(capfd.readouterr()) if "error" in text.lower() or "raised" in text]
    assert "bad" in line or "task 'a'" in line


def test_a_signal_still_stops() -> None:
    with pytest.raises(KeyboardInterrupt), plugin_call("it"):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(Interrupted), plugin_call("it"):
        raise Interrupted(130)
    with pytest.raises(PluginExit, match="it raised KeyboardInterrupt"), plugin_call("it"):
        raise KeyboardInterrupt
    with (
        pytest.raises(UPSError, match="it raised ZeroDivisionError: division by zero"),
        plugin_call("it", bugs=True),
    ):
        _ = 1 / 0


BROKEN = """\
from ups_core import ModelConfig, OptimizerConfig, hookimpl
from typing import Any


class Strange:
    pass


class NoSchema(ModelConfig):
    model_config = {"arbitrary_types_allowed": True}
    value: Strange = Strange()


@hookimpl
def ups_register_models(register):
    register("broken/nowhere", "nowhere:x", config="nowhere:Config", summary="a")
    register("broken/exits", "a:b", config="broken_exits:Config", summary="a")
    register("broken/schema", "a:b", config=NoSchema, summary="a")
    register("broken/summary", "a:b", config=ModelConfig, summary=None)
    register("broken/good", "a:b", config=ModelConfig, summary="100 % good")
"""


def test_a_broken_component_leaves_the_schema_to_others(
    install: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site" / "broken_exits.py").write_text("import sys\nsys.exit(0)\n")
    install("broken", BROKEN)
    assert ups(["schema"]) == 0
    output = capfd.readouterr()
    schema = json.loads(output.out)
    named = json.dumps(schema["$defs"]["models"])
    assert "broken/good" in named
    assert "broken/nowhere" not in named
    left_out = lines(output)
    assert all(line.startswith("left out: ") for line in left_out)
    for name in ("nowhere", "exits", "schema", "summary"):
        assert any(f"'broken/{name}'" in line for line in left_out), name
    for command in (
        ["plugins"],
        ["plugins", "--json"],
        ["list"],
        ["list", "--json"],
        ["show", "model", "broken/good"],
    ):
        assert ups(command) == 0, command
        assert lines(capfd.readouterr()) == []
    assert ups(["show", "model", "broken/exits"]) == 1
    assert ups(["plugins", "--check"]) == 1
    with pytest.raises(SystemExit) as stopped:
        ups(["--help"])
    assert stopped.value.code == 0


@pytest.mark.parametrize(
    "content",
    ["[ups]\nno equals sign\n", "[ups]\nbad = not a module!\n", "[ups]\nbad =\n", "\x00\xff", "[ups]\n= x\n"],
)
def test_broken_metadata_is_a_failure_of_one_distribution(
    install: Any, tmp_path: Path, content: str, capfd: pytest.CaptureFixture[str]
) -> None:
    install(
        "sound",
        "from ups_core import ModelConfig, hookimpl\n@hookimpl\ndef ups_register_models(register):\n    register('sound/net', 'a:b', config=ModelConfig, summary='a')\n",
    )
    info = tmp_path / "site" / "bad-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 0.1\n")
    (info / "entry_points.txt").write_bytes(content.encode("latin-1"))
    assert ups(["plugins", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert any(row["plugin"] == "sound" and row["status"] == "loaded" for row in rows)
    assert ups(["schema"]) == 0


@pytest.mark.parametrize("name", ["ups-data", "ups_core", "UPS.Train"])
def test_no_other_distribution_takes_the_name_of_ours(install: Any, tmp_path: Path, name: str) -> None:
    before = {entry.name: str(entry.provider) for entry in registry_in_use().entries()}
    (tmp_path / "site" / "impostor.py").write_text(
        "from ups_core import TaskConfig, hookimpl\n@hookimpl\ndef ups_register_tasks(register):\n    register('advection1d', 'a:b', config=TaskConfig, summary='a')\n"
    )
    info = tmp_path / "site" / f"{name.replace('-', '_')}-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
    (info / "entry_points.txt").write_text("[ups]\nsomething = impostor\n")
    install("other", "")
    registry = registry_in_use()
    assert {entry.name: str(entry.provider) for entry in registry.entries()} == before
    (failure,) = [failure for failure in registry.failures if failure.entry_point == "something"]
    ours = name.lower().replace("_", "-").replace(".", "-")
    assert failure.error == f"the name {ours} is that of a UPS package; uninstall this other one"
