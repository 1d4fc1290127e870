"""Every built-in metric on two real ranks (gloo) is that of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metric_rank import COUNT, computed


def test_two_ranks_compute_what_one_process_computes(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "helpers" / "metric_rank.py"
    ranks = [subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path)]) for rank in range(2)]
    expected = computed(list(range(COUNT)))
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    for rank in range(2):
        found = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert found.keys() == expected.keys()
        for name, value in found.items():
            assert value == pytest.approx(expected[name], rel=1e-9), name
