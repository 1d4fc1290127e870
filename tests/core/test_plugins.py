"""A broken plugin loses only its own registrations, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_core.plugin_loader import load_plugins
from ups_core.validate import load_spec

HEAD = "from ups_core import hookimpl, ModelConfig\n"
GOOD = (
    HEAD
    + """
@hookimpl
def ups_register_models(register):
    register("good/net", "nowhere:Net", config=ModelConfig, summary="fine")
"""
)
BROKEN = {
    "import-error": ("import not_there\n", "ModuleNotFoundError: No module named 'not_there'"),
    "syntax-error": ("def broken(:\n", "SyntaxError"),
    "exits": ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    "misspelt": (
        HEAD + "@hookimpl\ndef ups_register_modells(register): ...\n",
        "hook 'ups_register_modells'",
    ),
    "wrong-argument": (HEAD + "@hookimpl\ndef ups_register_models(reg): ...\n", "Argument(s) {'reg'}"),
    "no-hook": ("x = 1\n", "it implements no hook"),
    "raises": (
        HEAD + "@hookimpl\ndef ups_register_models(register):\n"
        "    register('raises/a', 'x:y', config=ModelConfig, summary='')\n    raise RuntimeError('late')\n",
        "RuntimeError: late",
    ),
    "twice": (
        HEAD + "@hookimpl\ndef ups_register_models(register):\n"
        "    for _ in range(2): register('twice/a', 'x:y', config=ModelConfig, summary='')\n",
        "model 'twice/a' is registered twice by twice 0.1",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_plugin_is_reported_and_harms_nobody(
    name: str,
    install: object,
    spec_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, reason = BROKEN[name]
    install(name, source)  # type: ignore[operator]
    install("good", GOOD)  # type: ignore[operator]
    monkeypatch.setenv("UPS_PLUGINS", f"ups-core,toy-plugin,good,{name}")
    assert ups(["plugins", "--json"]) == 0
    rows = {row["plugin"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[name]["status"] == "failed"
    assert reason in rows[name]["error"]
    assert rows["good"]["provides"] == ["models:good/net"]
    assert ups(["plugins"]) == 0
    load_spec(spec_file)
    registry = load_plugins().registry
    assert not [entry for entry in registry.entries() if entry.provider.distribution == name]
    spec_file.write_text(spec_file.read_text().replace("toy/net", f"{name}/net"))
    assert ups(["validate", str(spec_file)]) == 2
    assert f"plugin {name} ({name} 0.1) failed" in capsys.readouterr().err
    monkeypatch.setenv("UPS_STRICT_PLUGINS", "1")
    with pytest.raises(UPSError, match="UPS_STRICT_PLUGINS is set and plugin"):
        load_plugins()


def test_a_name_of_two_providers_is_refused_by_name(
    install: object, spec_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = GOOD.replace("models", "losses").replace("ModelConfig", "LossConfig")
    install("rival", GOOD.replace("good/net", "toy/net") + losses)  # type: ignore[operator]
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,rival")
    assert ups(["validate", str(spec_file)]) == 2
    error = capsys.readouterr().err
    assert "model 'toy/net' is provided by both rival 0.1 and toy-plugin 0.1" in error
    spec_file.write_text(spec_file.read_text().replace("toy/net", "toy/other"))
    assert ups(["validate", str(spec_file)]) == 0
    assert load_plugins().registry.find("losses", "good/net") is not None, "its other registrations stay"


def test_allow_list(install: object, monkeypatch: pytest.MonkeyPatch) -> None:
    install("good", GOOD)  # type: ignore[operator]
    monkeypatch.setenv("UPS_PLUGINS", "good")
    assert list(load_plugins().providers) == ["good"]
    monkeypatch.setenv("UPS_PLUGINS", "")
    assert not load_plugins().providers


def test_a_component_that_cannot_be_imported_says_whose_it_is(
    install: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD)  # type: ignore[operator]
    monkeypatch.setenv("UPS_PLUGINS", "good")
    with pytest.raises(UPSError, match=r"cannot load model 'good/net' of good 0\.1: ModuleNotFoundError"):
        load_plugins().registry.get("models", "good/net").load()
