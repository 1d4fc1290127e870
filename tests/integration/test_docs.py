"""Documents: commands run, Python runs, links lead somewhere, quoted YAML validates."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from commands import TIMEOUT, command
from documents import ROOT, blocks, commands, documents
from warm_process import run_warm

IDS = [str(path.relative_to(ROOT)) for path in documents()]
PLUGINS = ROOT / "docs" / "plugins.md"
"""Its blocks work together: `test_plugin_contract.py` runs them."""
OTHERS = [path for path in documents() if path != PLUGINS]
OTHER_IDS = [str(path.relative_to(ROOT)) for path in OTHERS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory that looks like the repository's root."""
    for name in ("specs", "packages", "examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_commands_run(document: Path, folder: Path) -> None:
    for line in commands(document):
        name, *arguments = shlex.split(line)
        command(name, *arguments, cwd=folder)


@pytest.mark.parametrize("document", OTHERS, ids=OTHER_IDS)
def test_python_runs(document: Path, folder: Path) -> None:
    for number, block in enumerate(blocks(document, "python")):
        if "…" in block:
            compile(block, str(document), "exec")  # names a run that only its reader has
            continue
        script = folder / f"block{number}.py"
        script.write_text(block)
        done = run_warm([str(script)], folder, os.environ, TIMEOUT)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


@pytest.mark.parametrize("document", OTHERS, ids=OTHER_IDS)
def test_yaml_blocks_are_valid_specs(document: Path, folder: Path) -> None:
    for number, block in enumerate(blocks(document, "yaml")):
        spec = folder / f"block{number}.yaml"
        spec.write_text(block)
        command("ups", "validate", spec, cwd=folder)


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
