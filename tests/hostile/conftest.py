"""One tiny run that all cases share: finished, stopped in the middle of its training, and its data."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from commands import command
from ups_core.files import write_json
from ups_core.sealed import read_sealed, write_sealed
from victim import SPEC, WEIGHTS, Victim, numbers


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """The finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    command("ups-run", "spec.yaml", cwd=folder)
    (run,) = (folder / "runs").iterdir()
    return Victim(folder, run.relative_to(folder), (run / WEIGHTS).read_bytes(), numbers(run))


@pytest.fixture(scope="session")
def interrupted(finished: Victim, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """The same run as if it had been killed after step 8 of 12."""
    folder = tmp_path_factory.mktemp("interrupted") / "copy"
    shutil.copytree(finished.folder, folder)
    victim = replace(finished, folder=folder)
    steps = victim.files / "steps"
    partial = steps / ".operator.partial"
    (steps / "operator").rename(partial)
    for name in ("operator", "test", "report"):
        shutil.rmtree(steps / name, ignore_errors=True)
    shutil.rmtree(partial / "model")
    shutil.rmtree(victim.files / "report")
    for path in partial.glob("checkpoints/step-00000012.*"):
        path.unlink()
    record = json.loads((partial / "step.json").read_text())
    header = {key: record[key] for key in ("id", "uses", "fingerprint", "started")}
    write_json(partial / "step.json", header | {"status": "running"})
    run = read_sealed(victim.files / "run.json")
    unfinished = {"status": "pending", "seconds": 0.0, "metrics": {}, "verdict": None, "details": {}}
    entries = [step | unfinished for step in run["steps"]]
    entries[0]["status"] = "running"
    write_sealed(victim.files / "run.json", run | {"status": "running", "steps": entries, "metrics": {}})
    return victim
