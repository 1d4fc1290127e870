"""The contract of a step: what a `stages` or `evaluations` component creates, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from ups_core.context import StepContext

FAILED_VERDICT = 3
"""Exit code of `ups-run` when all steps are done but the verdict of one is negative."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of a step that compares numbers with a standard (a gate).

    A negative verdict is a result, not a failure: the step is complete, and `ups-run` prints the reason and
    exits with :data:`FAILED_VERDICT`. Later steps run, unless the verdict stops the run: then only those run
    that report on all earlier ones.

    Attributes:
        passed: false for a negative verdict.
        reason: one line for users, with the numbers that were compared.
        stops: whether a negative verdict stops the run.
    """

    passed: bool
    reason: str
    stops: bool = False


@dataclass(frozen=True)
class StepResult:
    """What a step leaves beside its files.

    Attributes:
        metrics: keys relative to the step (`advection1d/nrmse`); the runner prefixes the step's id.
        verdict: of a step that judges; None for all others.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `result.json`."""
        return {"metrics": dict(self.metrics), "verdict": self.verdict and asdict(self.verdict)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepResult:
        """The inverse of :meth:`to_dict`; JSON has null for a number that is not finite."""
        metrics = {key: math.nan if value is None else float(value) for key, value in data["metrics"].items()}
        return cls(metrics, Verdict(**data["verdict"]) if data["verdict"] else None)


class Step(Protocol):
    """What a stage's or evaluation's factory returns."""

    def run(self, context: StepContext) -> StepResult:
        """Do the work and write below `context.directory` only.

        After an interruption the method is called again with the same directory.

        Raises:
            UPSError: the step failed for a reason that the user can fix.
        """
        ...
