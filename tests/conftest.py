"""Settings for all tests."""

import os
import signal

import pytest
from hypothesis import settings

# Files are tested side by side (`make test`), and tensors this small gain nothing from several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore SIGINT, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no bug: durations are measured in benchmarks/, never asserted.
settings.register_profile("ups", deadline=None)
settings.load_profile("ups")

LONG = (
    "train/test_ranks_stopped.py",
    "hostile/test_damage_matrix.py",
    "train/test_resume.py",
    "integration/test_golden.py",
    "integration/test_smoke.py",
    "train/test_parallel.py",
    "integration/test_interruption.py",
    "train/test_trackers.py",
    "train/test_tune.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one process tests a file, and the others would wait for one that begins last."""
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get("/".join(item.path.parts[-2:]), len(LONG)))
