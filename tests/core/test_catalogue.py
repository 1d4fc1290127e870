"""A catalogue of broken specs with the exact lines that their authors see.

Each `catalogue/NAME.yaml` has one mistake or a few; `catalogue/messages.txt` holds what the command prints.
The installed packages check specs whose names begin with `installed`, the toy plugin checks all others. After a
change of a message, `UPS_REWRITE=1 pytest tests/core/test_catalogue.py` writes that file again; read the
difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ups_core.cli.main import main as ups

CATALOGUE = Path(__file__).parent / "catalogue"
MESSAGES = CATALOGUE / "messages.txt"
NAMES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def messages() -> dict[str, list[str]]:
    """Name -> lines. In the file, a case's lines are indented under its name, and a blank line ends it."""
    blocks = [block.splitlines() for block in MESSAGES.read_text(encoding="utf-8").split("\n\n")]
    return {name: [line.removeprefix("  ") for line in lines] for name, *lines in blocks}


def rewrite(name: str, lines: list[str]) -> None:
    every = (messages() if MESSAGES.exists() else {}) | {name: lines}
    cases = ("\n  ".join([case, *every[case]]) for case in sorted(every) if case in NAMES)
    MESSAGES.write_text("\n\n".join(cases) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_message(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if name.startswith("installed"):
        pytest.importorskip("ups_train", reason="the core is tested alone")
    else:
        request.getfixturevalue("toy")
    monkeypatch.chdir(CATALOGUE)
    path = f"{name}.yaml"
    code = ups(["run", path, "--plan"] if name.startswith("plan_") else ["validate", path])
    output = capsys.readouterr()
    valid = name.startswith(("valid", "installed_valid"))
    assert code == (0 if valid else 2)
    lines = (output.out if valid else output.err).splitlines()
    if os.environ.get("UPS_REWRITE"):
        rewrite(name, lines)
    assert lines == messages()[name]
    assert valid or all(re.match(r"\w+\.yaml:\d+:\d+ .", line) for line in lines)
