"""Installs test plugins the way pip would: a module and its `.dist-info` on the path, no pip involved."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ups_core import plugin_loader
from ups_core.plan import Plan
from ups_core.planner import make_plan
from ups_core.validate import load_spec

HERE = Path(__file__).parent

SPEC = """\
version: 1
name: toy
seed: 3
tasks:
  a: {kind: toy/line, cells: 8}
model: {kind: toy/net, width: 5}
trainer: {strategy: toy/one}
pipeline:
  - stage: toy/train
    id: train
    epochs: 2
    optimizer: {kind: toy/sgd, lr: 1e-2}
  - evaluate: toy/score
    id: score
    baselines: [toy/constant, toy/other]
  - evaluate: toy/page
    id: page
"""

Install = Callable[..., None]
MakePlan = Callable[..., Plan]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("name", source)` makes a distribution `name` with one plugin module."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    installed = []

    def make(name: str, source: str, version: str = "0.1") -> None:
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text(source)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[ups]\n{name} = {module}\n")
        installed.append(module)
        plugin_loader.plugins_in_use.cache_clear()

    yield make
    for module in installed:
        sys.modules.pop(module, None)
    plugin_loader.plugins_in_use.cache_clear()


@pytest.fixture
def toy(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only core and the toy plugin are there, whatever else is installed."""
    install("toy-plugin", (HERE / "toy_plugin.py").read_text())
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin")


@pytest.fixture
def spec_file(tmp_path: Path, toy: None) -> Path:
    """A valid spec of the toy plugin."""
    path = tmp_path / "toy.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def make(spec_file: Path) -> MakePlan:
    """`make("KEY=VALUE", ...)` plans the toy spec with these overrides; keywords go to `make_plan`."""

    def make(*overrides: str, **options: Any) -> Plan:
        spec, document = load_spec(spec_file, overrides)
        return make_plan(spec, document, **{"runs_dir": Path("runs"), "data_root": Path("data")} | options)

    return make


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UPS_PLUGINS", raising=False)
    monkeypatch.delenv("UPS_STRICT_PLUGINS", raising=False)
    monkeypatch.delenv("UPS_DATA_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
