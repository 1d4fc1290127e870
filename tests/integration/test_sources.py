"""Rules that hold for every source file of the five packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documents import ROOT

FILES = sorted((ROOT / "packages").glob("*/src/**/*.py"))
FORBIDDEN = {
    "unpickling": r"weights_only\s*=\s*False|\bpickle\.|\bimport pickle\b|\bjoblib\b|allow_pickle\s*=\s*True|shelve",
    "evaluating text": r"(?<![.\w])(eval|exec)\(|yaml\.(unsafe_)?load\(|yaml\.full_load|os\.system\(|shell\s*=\s*True",
}


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_no_source_does_it(rule: str) -> None:
    assert len(FILES) > 100
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(FORBIDDEN[rule], line)
    ]
    assert not found


def test_every_load_of_tensors_names_weights_only() -> None:
    """The default of torch.load has changed before."""
    for path in FILES:
        text = Path(path).read_text()
        for match in re.finditer(r"torch\.load\(([^()]|\([^()]*\))*\)", text):
            assert "weights_only=True" in match[0], f"{path}: {match[0]}"
