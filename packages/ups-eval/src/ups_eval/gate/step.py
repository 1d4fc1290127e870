"""The `gate` step: judges, writes the table, and gives the run's verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from ups_core import StepContext, StepResult
from ups_core.finished_step import FinishedStep
from ups_core.reading import UnsoundFile
from ups_core.step import Verdict
from ups_eval.bootstrap import Sample
from ups_eval.breakdown import Part
from ups_eval.gate.config import GateConfig
from ups_eval.gate.judge import Evidence, Seeds, judge
from ups_eval.gate.names import CHAMPION
from ups_eval.gate.record import Gates, Judgement
from ups_eval.leaderboard.entry import Entry
from ups_eval.leaderboard.promotion import seeds
from ups_eval.leaderboard.step import run_entries, store_path
from ups_eval.leaderboard.store import Leaderboard
from ups_eval.results import Results
from ups_eval.tables import format_number
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import read_statistics


class GateStep:
    """Judges the numbers of the newest rollout.

    Args:
        config: the criteria.
    """

    def __init__(self, config: GateConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        """Judge all criteria, write `gates.json`, print the table.

        Returns:
            Metrics `criteria` and `failed`, and the verdict.

        Raises:
            UPSError: the step before left no results, or the leaderboard cannot be read.
        """
        evidence = self._evidence(context)
        found = [item for criterion in self.config.criteria for item in judge(criterion, evidence)]
        failed = [item for item in found if not item.passed]
        Gates(not failed, self.config.confidence, found).write(context.directory)
        context.console.rich.print(gate_table(found, context.step_id, self.config.confidence))
        metrics = {"criteria": float(len(found)), "failed": float(len(failed))}
        reason = "; ".join(map(sentence, failed)) or f"all {len(found)} criteria hold"
        return StepResult(metrics, Verdict(not failed, reason, stops=self.config.on_fail == "stop"))

    def _evidence(self, context: StepContext) -> Evidence:
        step = FinishedStep.read(context.run_directory, context.inputs["metrics"].name)
        results = Results.read(step)
        if results is None:
            raise UnsoundFile(step.directory, "has no results to judge; name a rollout in 'needs'")
        arrays = read_statistics(step.file(STATISTICS))
        champion: dict[str, Seeds] = {}
        siblings: dict[str, Seeds] = {}
        if any(criterion.against == CHAMPION for criterion in self.config.criteria):
            board = Leaderboard(store_path(self.config.store, context.run_directory))
            for entry in run_entries(context, baselines=False):
                best = board.champion(entry.board, without=entry.spec)
                others = board.entries(entry.board)
                siblings[entry.task] = _seeds_of(entry, others, own=False)
                if best is not None:
                    champion[entry.task] = _seeds_of(best, others, own=True)
        return Evidence(results, arrays, self.config.confidence, self.config.seed_spread, champion, siblings)


def _seeds_of(entry: Entry, others: Sequence[Entry], own: bool) -> Seeds:
    """Samples of an entry and of further seeds of its experiment, or of these alone."""

    def samples(task: str, metric: str, part: Part) -> Sequence[Sample]:
        found = seeds(entry, others, metric, part)
        return found if own else found[1:]

    return samples


def sentence(item: Judgement) -> str:
    """A failed criterion in words: `nrmse of advection1d / fno is 1.2 (0.9 to 1.5), at most 1: …`."""
    if item.value is None:
        return f"{item.label}: {item.reason}"
    interval = "" if item.low is None else f" ({format_number(item.low)} to {format_number(item.high)})"
    return f"{item.label} is {format_number(item.value)}{interval}, must be {item.bound}: {item.reason}"


def gate_table(found: Sequence[Judgement], title: str, confidence: float) -> Table:
    """All criteria for a terminal."""
    table = Table(title=escape(title), title_justify="left", caption_justify="left")
    table.caption = f"interval: {100 * confidence:g} %, over trajectories and seeds"
    for name in ("criterion", "value", "interval", "must be", "verdict"):
        table.add_column(name, justify="left", overflow="fold")
    for item in found:
        interval = "" if item.low is None else f"{format_number(item.low)} to {format_number(item.high)}"
        verdict = "[green]pass[/]" if item.passed else "[red]FAIL[/]"
        if item.reason:
            verdict += f" {escape(item.reason)}"
        table.add_row(escape(item.label), format_number(item.value), interval, escape(item.bound), verdict)
    return table
