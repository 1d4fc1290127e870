"""A `sky` and an `rsync` for PATH whose rented machine is a folder; scripts really run there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SKY = """\
import json, os, shutil, subprocess, sys
from pathlib import Path

import yaml

home = Path(os.environ["FAKE_CLOUD"]) / "home"
with (home.parent / "calls.jsonl").open("a") as calls:
    print(json.dumps(["sky", *sys.argv[1:]]), file=calls)
if sys.argv[1] != "launch":
    sys.exit(0)
task = yaml.safe_load(Path(sys.argv[-1]).read_text())
environment = os.environ | {"HOME": str(home)}
for place, source in task["file_mounts"].items():
    target = home / place.removeprefix("~/")
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = shutil.copytree if Path(source).is_dir() else shutil.copy2
    if "/packages/" not in place:
        copy(source, target, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
setup = [line for line in task["setup"].splitlines() if "-m pip" not in line]
subprocess.run(["bash", "-c", "\\n".join(setup)], env=environment, check=True)
sys.exit(subprocess.run(["bash", "-c", task["run"]], env=environment).returncode and 100)
"""
RSYNC = """\
import json, os, shutil, sys
from pathlib import Path

cloud = Path(os.environ["FAKE_CLOUD"])
with (cloud / "calls.jsonl").open("a") as calls:
    print(json.dumps(["rsync", *sys.argv[1:]]), file=calls)
machine, _, source = sys.argv[-2].partition(":")
shutil.copytree(cloud / "home" / source, sys.argv[-1], dirs_exist_ok=True)
"""


class FakeCloud:
    """What stands for the cloud: `variables` belong into the environment of a command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (folder / "home").mkdir()
        for name, text in (("sky", SKY), ("rsync", RSYNC)):
            (programs / name).write_text(f"#!{sys.executable}\n{text}")
            (programs / name).chmod(0o755)
        self.variables = {
            "PATH": f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "FAKE_CLOUD": str(folder),
        }

    def calls(self) -> list[Any]:
        """Every command with its arguments, in order."""
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]
