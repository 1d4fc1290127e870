"""Judges the criteria of a gate again, from the stored statistics of the rollout that it judged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ups_core.component import validate_options
from ups_core.finished_step import FinishedStep
from ups_core.plugin_loader import registry_in_use
from ups_core.reading import UnsoundFile
from ups_eval.gate.config import GateConfig
from ups_eval.gate.judge import Evidence, judge
from ups_eval.gate.names import CHAMPION
from ups_eval.gate.record import FILE, Gates, Judgement
from ups_eval.results import Results
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import read_statistics
from ups_eval.verify.finding import Finding


def check_gates(run: Path, step: FinishedStep) -> Iterator[Finding]:
    """Compare the table of a gate with what it follows from; nothing for other steps.

    Raises:
        UnsoundFile: a file is missing or damaged.
    """
    if FILE not in step.record.files:
        return
    what = f"{step.record.id}: {FILE}"
    stored = Gates.load(step.file(FILE))
    verdict = step.record.verdict
    if (
        verdict is None
        or verdict.passed != stored.passed
        or stored.passed != all(item.passed for item in stored.criteria)
    ):
        yield Finding(what, "MISMATCH", "the verdict is not that of the criteria")
        return
    config = _config(step)
    scored = _scored(run, step)
    results = Results.read(scored)
    if config is None or results is None:
        yield Finding(what, "note", "its criteria cannot be judged again here")
        return
    arrays = read_statistics(scored.file(STATISTICS))
    evidence = Evidence(results, arrays, config.confidence, config.seed_spread)
    again = [(criterion, item) for criterion in config.criteria for item in judge(criterion, evidence)]
    if len(again) != len(stored.criteria):
        yield Finding(what, "MISMATCH", f"has {len(stored.criteria)} criteria, not {len(again)}")
        return
    skipped = 0
    for (criterion, found), noted in zip(again, stored.criteria, strict=True):
        if criterion.against == CHAMPION:
            skipped += 1  # the champion may have changed since
        elif not _same(found, noted):
            yield Finding(what, "MISMATCH", f"{noted.label} is {noted.value!r}, but {found.value!r} follows")
            return
    note = f", {skipped} against the champion of its time not" if skipped else ""
    yield Finding(what, "ok", f"{len(again) - skipped} criteria judged again{note}")


def _config(step: FinishedStep) -> GateConfig | None:
    options = {key: value for key, value in step.record.options.items() if key not in ("evaluate", "id")}
    try:
        config = validate_options(GateConfig, options, registry_in_use())
    except ValueError:  # of another version, or with references to the environment
        return None
    return config


def _scored(run: Path, step: FinishedStep) -> FinishedStep:
    """The rollout that the gate judged: the last of the steps that it depends on that has numbers."""
    for name in reversed(step.record.after):
        found = FinishedStep.read(run, name)
        if STATISTICS in found.record.files:
            return found
    raise UnsoundFile(step.directory, "depends on no step with statistics")


def _same(one: Judgement, other: Judgement) -> bool:
    def equal(a: float | None, b: float | None) -> bool:
        return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)

    ends = ((one.value, other.value), (one.low, other.low), (one.high, other.high))
    return one.label == other.label and one.passed == other.passed and all(equal(a, b) for a, b in ends)
