"""A run in an unfriendly place: no network, no home, no wandb, odd names, no terminal, no asserts."""

from __future__ import annotations

import json
from pathlib import Path

from commands import TINY, command, overrides
from documents import ROOT

SITE = """\
import socket, sys

sys.modules["wandb"] = None


def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError(101, f"Network is unreachable: {address}")
    return connect(self, address)


connect, socket.socket.connect = socket.socket.connect, refuse
"""
SECRETS = {"WANDB_API_KEY": "s3cr3t-wandb-key", "AWS_SECRET_ACCESS_KEY": "s3cr3t-cloud-key"}


def test_a_run_needs_nothing_but_its_folders_and_tells_no_secrets(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    folder = tmp_path / "größere Läufe & mehr"
    folder.mkdir()
    spec = folder / "mein spec – α.yaml"
    spec.write_text(f"extends: {ROOT / 'specs' / 'smoke.yaml'}\n")
    changes = [*TINY, "pipeline.test.baselines=[persistence]", "trainer.workers=1"]
    arguments = [
        spec.name,
        *overrides(changes),
        "--data-root",
        "Daten und mehr",
        "--runs-dir",
        "Läufe (neu)",
    ]
    environment = {
        **SECRETS,
        "PYTHONPATH": str(site),
        "PYTHONOPTIMIZE": "1",
        "HOME": "/proc",
        "TERM": "dumb",
        "XDG_CACHE_HOME": "/proc/cache",
        "XDG_CONFIG_HOME": "/proc/config",
        "MPLCONFIGDIR": "",
    }
    done = command("ups-run", *arguments, cwd=folder, fresh=True, **environment)
    (run,) = (folder / "Läufe (neu)").iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "completed"
    assert (run / "report" / "index.html").stat().st_size > 10_000
    assert "\x1b" not in done.stdout + done.stderr, "no colours off a terminal"
    for path in [*run.rglob("*"), *(folder / "Daten und mehr").rglob("*")]:
        content = path.read_bytes() if path.is_file() else b""
        assert not any(secret.encode() in content for secret in SECRETS.values()), path
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS.values())
