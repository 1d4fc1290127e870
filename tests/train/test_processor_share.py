"""The share of the processor is one of a process that has it alone, and None where nobody knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ups_train.engine import processor_share
from ups_train.engine.processor_share import ProcessorShare

PINNED = """
import os, sys, time
from ups_train.engine.processor_share import ProcessorShare
os.sched_setaffinity(0, {0})
share = ProcessorShare()
end = time.process_time() + 0.4
while time.process_time() < end:
    pass
print(share.now())
"""


def shares(count: int) -> list[float]:
    """What processes that share one core report."""
    processes = [
        subprocess.Popen([sys.executable, "-c", PINNED], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return [float(process.communicate()[0]) for process in processes]


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not say")
def test_three_processes_on_one_core_have_less_of_it() -> None:
    together = shares(3)
    assert all(0 < share <= 1 for share in together)
    assert min(together) < 0.75


def test_an_unknown_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor_share, "TASKS", tmp_path / "nowhere")
    assert ProcessorShare().now() is None
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "schedstat").write_text("odd")
    monkeypatch.setattr(processor_share, "TASKS", tmp_path)
    assert ProcessorShare().now() is None


def test_the_share_of_known_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor_share, "TASKS", tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "schedstat").write_text("100 50 3\n")
    share = ProcessorShare()
    assert share.now() is None, "nothing ran since"
    (tmp_path / "1" / "schedstat").write_text("400 150 9\n")
    assert share.now() == pytest.approx(0.75)
