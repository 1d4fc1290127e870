"""`ups plugins --check`, and what a run loads before its first step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run

HEAD = "from ups_core import EvaluationConfig, LossConfig, ModelConfig, StageConfig, UPSError, hookimpl\n"
FAULTY = {
    "no_module": (
        "register('faulty/a', 'not_there:Net', config=ModelConfig, summary='')",
        "cannot load model 'faulty/a' of faulty 0.1: ModuleNotFoundError: No module named 'not_there'",
    ),
    "no_attribute": (
        "register('faulty/a', 'faulty:Missing', config=ModelConfig, summary='')",
        "cannot load model 'faulty/a' of faulty 0.1: AttributeError: module 'faulty' has no attribute 'Missing'",
    ),
    "no_colon": (
        "register('faulty/a', 'faulty', config=ModelConfig, summary='')",
        "cannot load model 'faulty/a' of faulty 0.1: 'faulty' is not of the form 'module:attribute'",
    ),
    "not_callable": (
        "register('faulty/a', 'faulty:NUMBER', config=ModelConfig, summary='')",
        "model 'faulty/a' of faulty 0.1: its factory 3 is not callable",
    ),
    "no_tasks": (
        "register('faulty/a', 'faulty:no_tasks', config=ModelConfig, summary='')",
        "the factory of model 'faulty/a' cannot be called as factory(config, tasks=...): "
        "got an unexpected keyword argument 'tasks'",
    ),
    "one_more": (
        "register('faulty/a', 'faulty:one_more', config=ModelConfig, summary='')",
        "the factory of model 'faulty/a' cannot be called as factory(config, tasks=...): "
        "missing a required argument: 'seed'",
    ),
    "other_base": (
        "register('faulty/a', dict, config='faulty:Other', summary='')",
        "model 'faulty/a' of faulty 0.1: its options class Other must subclass ups_core.ModelConfig",
    ),
    "no_class": (
        "register('faulty/a', dict, config='faulty:NUMBER', summary='')",
        "model 'faulty/a' of faulty 0.1: its options class 3 must subclass ups_core.ModelConfig",
    ),
}


def plugin(registration: str, kind: str = "models") -> str:
    return (
        f"{HEAD}NUMBER = 3\nclass Other(LossConfig): ...\n"
        "def no_tasks(config): ...\ndef one_more(config, tasks, seed): ...\n"
        f"@hookimpl\ndef ups_register_{kind}(register):\n    {registration}\n"
    )


@pytest.fixture
def only(install: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`only(source)` makes `source` the plugin `faulty`, beside the core and the toy plugin."""

    def make(source: str, *others: str) -> None:
        install("faulty", source)
        monkeypatch.setenv("UPS_PLUGINS", ",".join(["ups-core", "toy-plugin", "faulty", *others]))

    return make


@pytest.mark.parametrize("name", FAULTY)
def test_a_problem_is_one_line_and_exit_code_1(
    name: str, only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    registration, expected = FAULTY[name]
    only(plugin(registration))
    assert ups(["plugins", "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [expected]
    assert ups(["plugins", "--check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"problems": [expected]}


def test_everything_is_checked_and_every_problem_reported(
    only: Any, install: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    registrations = "; ".join(
        registration.replace("/a", f"/{name}") for name, (registration, _) in FAULTY.items()
    )
    install("broken", "import not_there\n")
    only(plugin(registrations), "broken")
    assert ups(["plugins", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plugin broken (broken 0.1) failed: ModuleNotFoundError")
    assert len(lines) == 1 + len(FAULTY)


def test_one_module_that_fails_is_one_problem(only: Any, capsys: pytest.CaptureFixture[str]) -> None:
    only(plugin("register('faulty/a', 'not_there:A', config='not_there:B', summary='')"))
    assert ups(["plugins", "--check"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_sound_plugins_have_no_problems(
    install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("sound", plugin("register('sound/a', dict, config=ModelConfig, summary='')"))
    monkeypatch.setenv("UPS_PLUGINS", "sound")
    assert ups(["plugins", "--check"]) == 0
    assert capsys.readouterr().out == "1 component of 1 plugin: no problems\n"
    assert ups(["plugins", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": []}


def test_the_packages_of_this_project_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["plugins", "--check"]) == 0, capsys.readouterr().out


STAGE = "register('faulty/late', 'faulty_stages:LateStage', config=StageConfig, summary='')"
STAGES = {
    "no module": (None, "ModuleNotFoundError: No module named 'faulty_stages'"),
    "no class": ("x = 1\n", "AttributeError: module 'faulty_stages' has no attribute 'LateStage'"),
    "a missing part": (
        "from ups_core import UPSError\nraise UPSError(\"the objective Late has no 'validate'\")\n",
        "the objective Late has no 'validate'",
    ),
}


@pytest.mark.parametrize("case", STAGES)
def test_a_faulty_stage_fails_a_run_before_its_first_step(
    case: str,
    spec_file: Path,
    only: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "faulty_stages", raising=False)
    source, reason = STAGES[case]
    if source is not None:
        (tmp_path / "site" / "faulty_stages.py").write_text(source)
    only(plugin(STAGE, "stages"))
    spec_file.write_text(spec_file.read_text() + "  - {stage: faulty/late, id: late}\n")
    assert ups_run([str(spec_file)]) == 1
    expected = f"error: step 'late': cannot load stage 'faulty/late' of faulty 0.1: {reason}\n"
    assert capsys.readouterr().err == expected
    assert not Path("data/executions.txt").exists(), "nothing has run"
    assert not Path("runs").exists(), "and nothing was written"
    assert ups_run([str(spec_file), "--only", "train"]) == 0, "what is not run may be faulty"


def test_what_a_factory_makes_must_fit_its_kind(
    spec_file: Path, only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    only(
        plugin(
            "register('faulty/dict', lambda config: {}, config=EvaluationConfig, summary='')", "evaluations"
        )
    )
    spec_file.write_text(spec_file.read_text() + "  - {evaluate: faulty/dict, id: late}\n")
    assert ups_run([str(spec_file)]) == 1
    expected = "step 'late' failed: evaluation 'faulty/dict' of faulty 0.1: its dict has no 'run'"
    assert expected in capsys.readouterr().err


def test_a_step_must_return_a_step_result(
    spec_file: Path, only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    step = "class Step:\n    def __init__(self, config): ...\n    def run(self, context): return {'a': 1}\n"
    only(step + plugin("register('faulty/old', Step, config=EvaluationConfig, summary='')", "evaluations"))
    spec_file.write_text(spec_file.read_text() + "  - {evaluate: faulty/old, id: late}\n")
    assert ups_run([str(spec_file)]) == 1
    expected = "step 'late' failed: Step.run returned a dict, not a ups_core.StepResult\n"
    assert capsys.readouterr().err.endswith(expected)


def test_strict_plugins_refuse_a_broken_one(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    only("import not_there\n")
    monkeypatch.setenv("UPS_STRICT_PLUGINS", "1")
    from ups_core.plugin_loader import load_plugins

    with pytest.raises(UPSError, match="UPS_STRICT_PLUGINS is set and plugin faulty"):
        load_plugins()
