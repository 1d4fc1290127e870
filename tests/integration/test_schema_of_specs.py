"""`ups schema` with a standard validator: every shipped and documented spec is valid, wrong edits are not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from commands import command
from documents import ROOT, blocks
from plugin_for_tests import with_plugin
from ups_core.yamlreader import parse_yaml

SPECS = sorted((ROOT / "specs").glob("*.yaml"))
EDITS = Callable[[dict[str, Any]], Any]


class Unresolved(dict[str, str]):
    """Editors do not know the environment: a reference stays as it is written."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return f"${{env:{name}}}"


def read(text: str) -> Any:
    return parse_yaml(text, "spec.yaml", Unresolved()).data


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Draft202012Validator:
    folder = tmp_path_factory.mktemp("schema")
    schema = json.loads(command("ups", "schema", cwd=folder, PYTHONPATH=with_plugin()).stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_specs_are_valid(path: Path, validator: Draft202012Validator) -> None:
    assert validator.is_valid(read(path.read_text()))


def test_the_documented_spec_is_valid(validator: Draft202012Validator) -> None:
    (block,) = blocks(ROOT / "README.md", "yaml")
    assert validator.is_valid(read(block))


COMPLETE = """\
version: 1
name: all-forms
seed: 3
tasks:
  wave: {kind: advection1d, beta: [0.4], source: generate}
  flow: darcy2d
sampling: {temperature: 0.5}
model: {kind: fno, width: 8, modes: {1: 4, 2: 4}}
trainer: {strategy: ddp, devices: 2, precision: 32}
launcher: torchrun
trackers: [csv, {kind: wandb, tags: [a]}]
pipeline:
  - stage: operator
    optimizer: adamw
    scheduler: {kind: cosine, warmup: 0.1}
    losses: [relative_l2, {kind: h1, weight: 0.5}]
    compile: {mode: default}
    checkpoints: {keep: 1, every: null}
    task_weights: {wave: 2.0}
  - evaluate: rollout
    id: test
    needs: [operator]
    metrics: [nrmse, {kind: rel_l2}]
    baselines: [persistence, unet, {kind: fno, width: 4}]
  - evaluate: report
"""

VALID: dict[str, str] = {
    "complete": COMPLETE,
    "bare names": "version: 1\nname: a\ntasks: {w: advection1d}\nmodel: fno\npipeline: [{stage: operator, optimizer: adamw}]\n",
    "options of a default": COMPLETE.replace("optimizer: adamw", "optimizer: {lr: 1e-3}"),
    "another name by reference": COMPLETE.replace("kind: fno, width: 8", "kind: '${env:M}', anything: 8"),
    "a component by reference": COMPLETE.replace("launcher: torchrun", "launcher: ${env:L}"),
    "numbers by reference": COMPLETE.replace("seed: 3", "seed: ${env:S}").replace(
        "devices: 2", "devices: '${env:D}'"
    ),
    "text with a reference": COMPLETE.replace("name: all-forms", "name: run-${env:NUMBER}"),
    "choices and lists by reference": COMPLETE.replace("mode: default", "mode: '${env:M}'").replace(
        "beta: [0.4]", "beta: ['${env:B}']"
    ),
    "extends": "extends: base.yaml\nseed: 4\n",
    "extends: options": "extends: base.yaml\nmodel: {width: 64}\ntrainer: {devices: 4}\ntasks: {wave: {beta: [1.0]}}\n",
    "extends: entries": "extends: base.yaml\npipeline: {operator: {epochs: 5, optimizer: {lr: 1e-3}, losses: {h1: {weight: 2.0}}}, test: {metrics: [nrmse]}}\n",
    "extends: another kind": "extends: base.yaml\nmodel: {kind: unet, levels: 2}\nlauncher: local\n",
    "extends: a list": "extends: base.yaml\npipeline: [{stage: operator}, {evaluate: report, title: hello}]\n",
    "plugins": COMPLETE.replace("stage: operator\n", "stage: test/energy\n").replace(
        "    losses: [relative_l2, {kind: h1, weight: 0.5}]\n", ""
    ),
}  # fmt: skip


def test_the_validation_of_ups_agrees(tmp_path: Path) -> None:
    (tmp_path / "complete.yaml").write_text(COMPLETE)
    command("ups", "validate", "complete.yaml", cwd=tmp_path)


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_every_form_is_valid(text: str, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(read(text))] == []


STAGE, TEST = ("pipeline", 0), ("pipeline", 1)
WRONG: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "unknown key of the spec": (("sede",), 3),
    "unknown key of a task": (("tasks", "wave", "betta"), 1),
    "unknown key of the model": (("model", "widht"), 8),
    "unknown key of the trainer": (("trainer", "device"), 2),
    "unknown key of a stage": ((*STAGE, "epoch"), 3),
    "unknown key of a group": ((*STAGE, "checkpoints", "most"), 3),
    "unknown key of a component of a stage": ((*STAGE, "scheduler", "warm"), 0.1),
    "unknown key of a default": ((*STAGE, "optimizer"), {"lrr": 1e-3}),
    "text for a number": (("seed",), "three"),
    "a number for text": (("name",), 3),
    "a list for a mapping": (("trainer",), [1]),
    "a negative seed": (("seed",), -1),
    "a temperature above one": (("sampling", "temperature"), 2),
    "no devices": (("trainer", "devices"), 0),
    "unknown model": (("model", "kind"), "latent_oprator"),
    "unknown bare launcher": (("launcher",), "torchrn"),
    "unknown stage": ((*STAGE, "stage"), "operatr"),
    "unknown optimizer": ((*STAGE, "optimizer"), "adamwx"),
    "unknown loss": ((*STAGE, "losses"), ["nrmsee"]),
    "unknown metric": ((*TEST, "metrics"), ["nrmse", "rel_l3"]),
    "misspelt baseline": ((*TEST, "baselines"), ["persistnce"]),
    "wrong option of a baseline": ((*TEST, "baselines"), [{"kind": "unet", "levls": 2}]),
    "a metric as a baseline": ((*TEST, "baselines"), ["nrmse"]),
    "a component without kind": (("model",), {"width": 8}),
    "a choice that does not exist": ((*STAGE, "compile", "mode"), "fast"),
    "a capital in an id": ((*TEST, "id"), "Test"),
    "a slash in a task": (("tasks", "a/b"), {"kind": "advection1d"}),
    "a slash in the name": (("name",), "a/b"),
    "stage and evaluate": ((*STAGE, "evaluate"), "rollout"),
    "another version": (("version",), 2),
    "an empty pipeline": (("pipeline",), []),
    "a mapping for the pipeline": (("pipeline",), {"operator": {"epochs": 2}}),
    "no kind of reference": (("seed",), "${envv:SEED}"),
    "extends a list": (("extends",), ["a.yaml"]),
}


@pytest.mark.parametrize(("path", "value"), WRONG.values(), ids=WRONG)
def test_wrong_edits_are_not(
    path: tuple[str | int, ...], value: Any, validator: Draft202012Validator
) -> None:
    data = copy.deepcopy(read(COMPLETE))
    inside = data
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    assert not validator.is_valid(data)


@pytest.mark.parametrize("key", ["version", "name", "tasks", "model", "pipeline"])
def test_a_missing_key_is_one_without_extends_only(key: str, validator: Draft202012Validator) -> None:
    data = read(COMPLETE)
    del data[key]
    assert not validator.is_valid(data)
    assert validator.is_valid({**data, "extends": "base.yaml"})


@pytest.mark.parametrize(
    "text",
    [
        "sede: 3",
        "model: {widht: 8}",
        "model: {kind: unet, modes: 3}",
        "trainer: {device: 3}",
        "pipeline: {operator: {epoch: 3}}",
        "pipeline: {operator: {epochs: x}}",
        "pipeline: {test: {baselines: [persistnce]}}",
        "pipeline: {operator: {optimizer: {lrr: 1}}}",
        "seed: -1",
        "launcher: torchrn",
    ],
)
def test_wrong_changes_are_not_valid(text: str, validator: Draft202012Validator) -> None:
    assert not validator.is_valid(read(f"extends: base.yaml\n{text}\n"))
