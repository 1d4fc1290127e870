"""The `leaderboard` step: enters what a rollout scored, and promotes the model where it is better."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ups_core import StepContext, StepResult
from ups_core.files import write_json
from ups_core.fingerprint import digest
from ups_core.finished_step import FinishedStep
from ups_core.reading import UnsoundFile
from ups_core.step import Verdict
from ups_eval.leaderboard.config import LeaderboardConfig
from ups_eval.leaderboard.entry import Entry, restricted
from ups_eval.leaderboard.promotion import judge
from ups_eval.leaderboard.store import FILE, Leaderboard
from ups_eval.results import Results
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import read_statistics

RECORD = "leaderboard.json"
"""In the step's directory: what it entered and promoted."""


class LeaderboardStep:
    """Enters the scored models of the run.

    Args:
        config: which file, which metric decides.
    """

    def __init__(self, config: LeaderboardConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        """Enter every scored task and model, then promote.

        Returns:
            Metrics `<task>/promoted`, 1 for a new champion.

        Raises:
            UPSError: the file is not a leaderboard of this version, or cannot be written.
        """
        board = Leaderboard(store_path(self.config.store, context.run_directory))
        entries = run_entries(context, self.config.baselines)
        lines, metrics = [], {}
        for entry in board.add(entries):
            content = {
                "task": entry.task,
                "model": entry.model,
                "board": entry.board[:12],
                "number": entry.number,
            }
            lines.append(content)
            if entry.baseline or self.config.promote == "never":
                continue
            verdict = self._promote(board, entry)
            content |= {"promoted": verdict.passed, "reason": verdict.reason}
            metrics[f"{entry.task}/promoted"] = float(verdict.passed)
            word = "promoted" if verdict.passed else "not promoted"
            context.console.say(f"  {entry.task}: {word}: {verdict.reason}")
        write_json(context.directory / RECORD, {"store": board.path.name, "entries": lines})
        return StepResult(metrics)

    def _promote(self, board: Leaderboard, entry: Entry) -> Verdict:
        """Promote the entry if it is better than the champion of the moment."""
        while True:
            champion = board.champion(entry.board, without=entry.spec)
            others = board.entries(entry.board)
            verdict = judge(entry, champion, others, self.config.metric, self.config.seed_spread)
            if not verdict.passed or board.succeed(champion, entry, verdict.reason):
                return verdict


def gates_passed(context: StepContext) -> bool | None:
    """Whether all gates of the run passed; None if none has judged."""
    verdicts = []
    for name in context.artifacts.get("gates", {}):
        with suppress(UnsoundFile):  # a gate after one that stopped the run
            verdicts.append(FinishedStep.read(context.run_directory, name).record.verdict)
    found = [verdict.passed for verdict in verdicts if verdict is not None]
    return all(found) if found else None


def store_path(store: str | None, run_directory: Path) -> Path:
    """The file of a leaderboard."""
    return Path(store).expanduser() if store is not None else run_directory.parent / FILE


def run_entries(context: StepContext, baselines: bool = True) -> list[Entry]:
    """What the run's rollout scored, one entry per task and model.

    Raises:
        UPSError: the step before left no results.
    """
    step = FinishedStep.read(context.run_directory, context.inputs["metrics"].name)
    results = Results.read(step)
    if results is None:
        raise UnsoundFile(step.directory, "has no results to enter; name a rollout in 'needs'")
    arrays = read_statistics(step.file(STATISTICS))
    gates = gates_passed(context)
    effect = context.spec.effect()
    found = []
    for task in results.tasks:
        data = context.tasks[task].plan_data(context.data_root).fingerprint
        for model in results.per_step[task]:
            if model != results.model and not baselines:
                continue
            one, values = restricted(results, arrays, task, model)
            found.append(
                Entry(
                    task=task,
                    data=data,
                    split=results.split,
                    limit=results.limit,
                    model=model,
                    baseline=model != results.model,
                    run=context.run_directory.name,
                    spec=digest(effect),
                    experiment=digest(context.spec.experiment()),
                    seed=context.spec.seed,
                    packages=step.record.providers,
                    results=one,
                    arrays=values,
                    gates=gates,
                )
            )
    return found
