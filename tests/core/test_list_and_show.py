"""`ups list` and `ups show` read as documentation for every kind of component."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ups_core.cli.main import main as ups
from ups_core.config import Config
from ups_core.kinds import KINDS, singular
from ups_core.option_docs import document_options
from ups_core.plugin_loader import registry_in_use

EXPLAINING = """\
from ups_core import ModelConfig, OptimizerConfig, hookimpl

class Explained(OptimizerConfig):
    explain = "explaining:explain"
    lr: float = 1.0

def explain(config, spec, step, infos):
    return [("what", "value"), ("rate", str(config.lr)), ("step", step.id), ("model", spec.model.kind)]

@hookimpl
def ups_register_optimizers(register):
    register("explaining/one", "explaining:none", config=Explained, summary="says what it does")
"""


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert ups(list(arguments)) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_says_what_the_kind_is_and_where_a_spec_names_it(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in (kind, singular(kind)):
        text = shown(capsys, "list", word)
        head, *lines = text.splitlines()
        assert head == f"{kind}: {KINDS[kind].summary}; {KINDS[kind].usage}"
        entries = registry_in_use().entries(kind)
        for entry, line in zip(entries, lines, strict=False):
            assert line.split() == [entry.name, *entry.summary.split(), *str(entry.provider).split()]
        assert entries or lines[0] == "  (none installed)"
        assert lines[-1] == f"'ups show {singular(kind)} NAME' explains a component and its options."


def test_the_complete_list_has_every_kind_and_component(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "list")
    heads = [line.partition(":")[0] for line in text.splitlines() if line and line[0] not in " '"]
    assert heads == list(KINDS)
    rows = json.loads(shown(capsys, "list", "--json"))
    assert [(row["kind"], row["name"]) for row in rows] == [
        (e.kind, e.name) for e in registry_in_use().entries()
    ]
    assert all(f"  {row['name']} " in text and row["summary"] in text for row in rows)


ENTRIES = [pytest.param(entry, id=f"{entry.kind}:{entry.name}") for entry in registry_in_use().entries()]


@pytest.mark.parametrize("entry", ENTRIES)
def test_show_documents_every_installed_component(entry: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a summary, and each of its options a type, a default and a meaning."""
    text = shown(capsys, "show", singular(entry.kind), entry.name)
    head = text.splitlines()[0]
    assert head == f"{entry.name}: {entry.summary}  [{entry.provider}]"
    assert entry.summary
    groups = document_options(entry.load_config())
    words = " ".join(text.split())
    for group in groups:
        for option in group.options:
            default = {None: " (required)", "": ""}.get(option.default, f" (default {option.default})")
            assert f"{option.name}: {option.type}{default}" in words
            assert option.meaning, f"{option.name} has no docstring"
            assert option.meaning in words
    assert groups or ("It has no options." in text) or ("command line" in text)
    assert max(map(len, text.splitlines()[1:])) <= 130


@pytest.mark.usefixtures("toy")
def test_show_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        shown(capsys, "show", "stage", "toy/train")
        == """\
toy/train: trains  [toy-plugin 0.1]

Counts ticks and calls it training.

use:       pipeline: [{stage: toy/train}]
consumes:  nothing
produces:  simulator

options:
  epochs: integer >= 1 (default 1)
      Ticks.
  span: integer (default 1)
      Cells that a tick needs.
  pause: number (default 0.0)
      Seconds between two ticks.
  optimizer: optimizer (default toy/sgd)
      Its learning rate decides the loss. See 'ups list optimizers'.
  saving: options
      When training is saved.
    saving.keep: integer from 1 to 9 (default 2)
        Checkpoints to keep.
    saving.every: number > 0 and < 1 | null (default 0.5)
        Share of the training between two.
  label: integer (default 0)
      A number that is only recorded.
  fail: true | false (default false)
      Whether the loss explodes.

Options of every stage:
  model: model | null (default null)
      The network to train; default: the spec's `model`. See 'ups list models'.

Options of every pipeline step:
  id: text | null (default null)
      Name of the step in records and metric keys; default: the component's name.
  needs: list of text (default [])
      Ids of earlier steps to take inputs from; default: the newest that produce what this consumes.
"""
    )


@pytest.mark.usefixtures("toy")
def test_required_options_are_part_of_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "show", "optimizer", "toy/chain")
    assert "use:       pipeline: [{stage: operator, optimizer: {kind: toy/chain, links: ...}}]\n" in text
    assert "  links: list of optimizer (required)\n" in text


@pytest.mark.usefixtures("toy")
def test_a_component_without_options_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "show", "strategy", "toy/one") == (
        "toy/one: one device  [toy-plugin 0.1]\n\nuse:       trainer: {strategy: {kind: toy/one}}\n\n"
        "It has no options.\n"
    )
    text = shown(capsys, "show", "command", "tune")
    assert "use:       ups tune --help\n\nIts arguments are on the command line.\n" in text


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_usage_is_yaml_that_names_the_component(entry: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "show", entry.kind, entry.name)
    (usage,) = re.findall(r"^use: +(.+)$", text, flags=re.MULTILINE)
    if entry.kind == "commands":
        assert usage == f"ups {entry.name} --help"
    else:
        assert entry.name in json.dumps(yaml.safe_load(usage))


@pytest.mark.usefixtures("toy")
def test_unknown_names_and_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'toy/net'?" in shown(capsys, "show", "model", "toy/nets", code=1)
    with pytest.raises(SystemExit) as stop:
        ups(["list", "modells"])
    assert stop.value.code == 2
    expected = "unknown kind of component 'modells'; kinds: tasks, sources, layouts, models"
    assert expected in capsys.readouterr().err


@pytest.mark.usefixtures("toy")
def test_json_is_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(shown(capsys, "show", "stage", "toy/train", "--json"))
    assert schema["properties"]["stage"] == {"const": "toy/train"}
    schema = json.loads(shown(capsys, "show", "model", "toy/net", "--json"))
    assert schema["properties"]["kind"] == {"const": "toy/net"}


def test_a_component_may_explain_itself_in_a_spec(
    spec_file: Path, install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("explaining", EXPLAINING)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,explaining")
    arguments = "show", "optimizer", "explaining/one", "--spec", str(spec_file)
    expected = f"no step of {spec_file} uses the optimizer 'explaining/one'"
    assert expected in shown(capsys, *arguments, code=1)
    spec_file.write_text(spec_file.read_text().replace("toy/sgd, lr: 1e-2", "explaining/one, lr: 3.0"))
    assert shown(capsys, *arguments) == (
        "step train:\nwhat   value\nrate   3.0\nstep   train\nmodel  toy/net\n"
    )
    silent = "show", "model", "toy/net", "--spec", str(spec_file)
    assert "model 'toy/net' has nothing to say about a spec; omit --spec" in shown(capsys, *silent, code=1)


def test_the_base_class_of_a_kind_is_no_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    for entry in registry_in_use().entries("metrics"):
        config: type[Config] = entry.load_config()
        if config is KINDS["metrics"].load_base():
            assert str(config.__doc__) not in shown(capsys, "show", "metric", entry.name)
