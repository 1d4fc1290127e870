"""Commands and Python blocks of the project's documents."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file of the project that is not a change log."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("docs", "packages", "examples"):
        found += sorted((ROOT / folder).rglob("*.md"))
    return [path for path in found if path.name != "CHANGELOG.md"]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for kind, text in FENCE.findall(path.read_text()) if kind == language]


def commands(path: Path) -> list[str]:
    """Lines that start with `$ ` in console blocks, continuation lines joined."""
    lines = "\n".join(blocks(path, "console")).replace("\\\n", " ").splitlines()
    return [line[2:] for line in lines if line.startswith("$ ")]
