"""How much of the processor a training had: a budget of seconds buys less on a busy machine."""

from __future__ import annotations

from pathlib import Path

TASKS = Path("/proc/self/task")
BUSY = 0.8
"""Share below which a training with a budget says that it had less than it asked for."""


class ProcessorShare:
    """The share of the time in which the threads of this process could run that they did run."""

    def __init__(self) -> None:
        self._before = _times()

    def now(self) -> float | None:
        """Since the object was made, from 0 to 1; None where the system does not say."""
        if self._before is None or (after := _times()) is None:
            return None
        ran, waited = (now - before for now, before in zip(after, self._before, strict=True))
        return round(ran / (ran + waited), 3) if ran > 0 and waited >= 0 else None


def _times() -> tuple[int, int] | None:
    """Nanoseconds in which the threads ran, and in which they waited for a processor (Linux)."""
    ran = waited = 0
    try:
        for task in TASKS.iterdir():
            numbers = (task / "schedstat").read_text().split()
            ran, waited = ran + int(numbers[0]), waited + int(numbers[1])
    except (OSError, ValueError, IndexError):  # another system, or a thread that ends just now
        return None
    return ran, waited
