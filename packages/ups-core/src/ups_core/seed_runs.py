"""Runs of one spec with several seeds: ordinary run directories, in turn or side by side."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ups_core import interrupts
from ups_core.console import Console
from ups_core.events import SeedsInfo
from ups_core.files import open_own
from ups_core.lifecycle import call_watchers
from ups_core.plan import Plan
from ups_core.plugin_loader import plugins_in_use
from ups_core.step import FAILED_VERDICT

PAUSE = 0.2
"""Seconds between two looks at the processes."""


@dataclass
class SeedRun:
    """One run.

    Attributes:
        seed: of its spec.
        plan: of the run, for its directory.
        command: that runs it.
        process: while it runs and after.
        code: its exit code once it has ended.
    """

    seed: int
    plan: Plan
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None


@dataclass
class SeedRuns:
    """Runs that differ by seed alone.

    Args:
        runs: one per seed.
        directory: for logs, and for what plugins write about all runs.
        console: says what starts and ends.
        jobs: how many run at once; with one, its output is shown as it comes.
    """

    runs: Sequence[SeedRun]
    directory: Path
    console: Console
    jobs: int = 1
    _waiting: list[SeedRun] = field(default_factory=list)

    def run(self) -> int:
        """Run all, then tell the plugins; returns the exit code: of a failed run, else of a negative verdict.

        Raises:
            Interrupted: this process was asked to stop; the runs have stopped with a checkpoint.
        """
        self._waiting = list(self.runs)
        with interrupts.listening(), self._stopping():
            while self._waiting or self._active():
                while self._waiting and len(self._active()) < self.jobs:
                    self._start(self._waiting.pop(0))
                time.sleep(PAUSE)
                interrupts.check()
        complete = tuple(run.plan.directory for run in self.runs if run.code in (0, FAILED_VERDICT))
        if len(complete) > 1:
            hook = plugins_in_use().manager.hook.ups_seeds_finished
            call_watchers(self.console, hook, seeds=SeedsInfo(self.directory, complete))
        codes = [run.code or 0 for run in self.runs]
        return next((code for code in codes if code not in (0, FAILED_VERDICT)), max(codes))

    def _active(self) -> list[SeedRun]:
        """Runs whose process has not ended; says so of those that have."""
        active = []
        for run in self.runs:
            if run.process is None or run.code is not None:
                continue
            run.code = run.process.poll()
            if run.code is None:
                active.append(run)
            elif run.code:
                where = "" if self.jobs == 1 else f"; its output is in {self._log(run)}"
                self.console.say(f"seed {run.seed} ended with exit code {run.code}{where}", style="yellow")
            elif self.jobs > 1:
                self.console.say(f"seed {run.seed} has ended: {run.plan.directory}")
        return active

    def _start(self, run: SeedRun) -> None:
        self.console.say(f"seed {run.seed}: {run.plan.directory}", style="bold")
        if self.jobs == 1:
            run.process = subprocess.Popen([*run.command], stdin=subprocess.DEVNULL)
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        with open_own(self._log(run), "w") as file:
            # A process group of its own: Ctrl+C reaches this process alone, which stops the others.
            run.process = subprocess.Popen(
                [*run.command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )

    def _log(self, run: SeedRun) -> Path:
        return self.directory / f"seed-{run.seed}.log"

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Stop the runs when this process is asked to stop, and wait until they have saved."""
        try:
            yield
        except BaseException:
            started = [run.process for run in self.runs if run.process is not None and run.code is None]
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
            raise


def seed_command(spec: Path, seed: int, options: Sequence[str]) -> list[str]:
    """The command that runs a spec with one seed."""
    return [sys.executable, "-m", "ups_core.cli.run", str(spec), *options, "--set", f"seed={seed}"]
