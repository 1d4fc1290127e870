"""docs/plugins.md has a runnable example for every hook: its blocks are loaded as plugins, its spec is run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from commands import command
from documents import ROOT
from ups_core import hookspecs

PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S)
MODULES = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", PAGE, flags=re.M | re.S))
SPEC = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.M | re.S)[-1]
HOOKS = [name for name in vars(hookspecs) if name.startswith("ups_")]
FILES = {"kind": "acme/heat", "resolution": 32, "frames": 6, "trajectories": 20}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of commands that see the page's blocks as one installed distribution."""
    folder = tmp_path_factory.mktemp("plugins")
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    for module, code in MODULES.items():
        (folder / f"{module}.py").write_text(code)
    points = [f"{module} = {module}" for module, code in MODULES.items() if "@hookimpl" in code]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[ups]", *points]) + "\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example(hook: str) -> None:
    found = [text for title, text in SECTIONS if f"`{hook}`" in title]
    assert len(found) == 1, f"docs/plugins.md needs a section whose title names {hook}"
    assert re.search(rf"@hookimpl\ndef {hook}\(", found[0]), f"the section of {hook} does not implement it"


def test_a_stage_takes_sixty_lines() -> None:
    code = MODULES["acme_stages"] + MODULES["acme_objective"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 60


def test_all_examples_load_and_keep_their_contracts(plugins: dict[str, str], tmp_path: Path) -> None:
    loaded = json.loads(command("ups", "plugins", "--json", cwd=tmp_path, **plugins).stdout)
    acme = [row for row in loaded if row["distribution"] == "acme"]
    assert all(row["status"] == "loaded" for row in acme), acme
    kinds = {item.partition(":")[0] for row in acme for item in row["provides"]}
    assert kinds == {hook.removeprefix("ups_register_") for hook in HOOKS if "register" in hook}
    assert "hello you" in command("ups", "hello", "you", cwd=tmp_path, **plugins).stdout


def test_the_spec_runs_with_all_of_them(plugins: dict[str, str], tmp_path: Path) -> None:
    spec = yaml.safe_load(SPEC)
    first = {**spec, "name": "files", "tasks": {"heat": FILES}, "launcher": "local"}
    first["pipeline"] = [{"stage": "operator", "max_steps": 1, "validate_every": 1}]
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(first))
    command("ups-run", "first.yaml", cwd=tmp_path, **plugins)  # generates the file that is copied then
    (made,) = tmp_path.glob("data/generated/*/heat_0.01.hdf5")
    (tmp_path / "files").mkdir()
    made.rename(tmp_path / "files" / made.name)

    tables = tmp_path / "data" / "tables"
    tables.mkdir()
    random = np.random.default_rng(0)
    for number in range(10):
        np.savetxt(tables / f"{number}.csv", random.normal(size=(6, 32)), delimiter=",")

    (tmp_path / "acme.yaml").write_text(SPEC)
    command("ups-run", "acme.yaml", cwd=tmp_path, **plugins)
    assert "@misc{doe2026two,\n" in command("ups", "cite", "acme.yaml", cwd=tmp_path, **plugins).stdout
    (run,) = tmp_path.glob("runs/acme-*")
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "completed"
    assert record["data"]["heat"]["source"] == "copied"
    assert record["data"]["tables"]["splits"] == {"train": 8, "val": 1, "test": 1}
    assert {"test/heat/acme-worst_frame", "operator/val/nrmse"} <= set(record["metrics"])
    steps = {step["id"]: step for step in record["steps"]}
    assert steps["acme-size"]["verdict"]["passed"]
    assert (run / "steps" / "acme-mean" / "model" / "weights.safetensors").exists()
    assert float((run / "steps" / "operator" / "largest_norm.txt").read_text()) > 0
    tracked = (run / "trackers" / "acme-text" / "lines.txt").read_text().splitlines()
    assert [line.rpartition(" ")[0] for line in tracked if line.startswith("operator ")][
        2
    ] == "operator has 5"
    assert [line.split()[0] for line in tracked[:3]] == ["operator"] * 3, "two lines, then the step"
    assert tracked[-1] == "completed"
    watched = (run / "watched.txt").read_text().splitlines()
    assert watched[0] == "started acme"
    assert watched[-1] == "completed"
    assert "operator completed" in watched
    stages = [step for step in record["steps"] if step["uses"] == "stage: operator"]
    assert stages[0]["details"]["strategy"]["kind"] == "acme/alone"
