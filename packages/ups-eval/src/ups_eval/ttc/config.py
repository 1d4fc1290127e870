"""Options of the step `ttc`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from ups_core import Component
from ups_core.step_config import StageConfig, StepConfig
from ups_eval.config import ScoreConfig

Reward = Literal["error", "residual", "invariants", "bounds"]
ROWS = (
    "no_choice",
    "random_choice",
    "mean_of_candidates",
    "oracle_choice",
    "combined",
)
"""What is scored beside the choice."""
REFINED, ITERATIONS = "refined_", "iterations_"
"""Beginnings of the names of rows that iterate."""


class TTCConfig(ScoreConfig):
    """Choose among candidates of a stochastic model by physics, beside no, random and the best choice."""

    members: int = Field(default=8, ge=2)
    """Candidates for every frame, or solution."""
    reward: Reward | None = None
    """What the choice minimises. `error`: the estimate that one multigrid cycle makes of the error, and
    `residual`: the residual of the discrete equation in physical units, where the task has such a solver;
    `invariants`: the drift of what the task conserves; `bounds`: values below zero in positive channels.
    Default: the first of these that a task has."""
    beam: PositiveInt = 1
    """Rollouts that are continued in parallel; the candidates of a frame are shared among them, and the one
    with the smallest sum of penalties is the choice at the end."""
    refine: tuple[PositiveInt, ...] = (2,)
    """Numbers of iterations of the discrete equation, each from the single prediction and from zero, where
    the task has such a solver."""

    @field_validator("refine")
    @classmethod
    def _differ(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if twice := sorted({count for count in counts if counts.count(count) > 1}):
            raise ValueError(f"refine has duplicate values {', '.join(map(str, twice))}; remove them")
        return counts

    @model_validator(mode="after")
    def _beams_have_candidates(self) -> TTCConfig:
        if self.members % self.beam:
            raise ValueError(
                f"{self.members} members cannot be shared by {self.beam} beams; use a multiple of beam"
            )
        return self

    @property
    def rows(self) -> list[str]:
        """See :class:`ScoreConfig`."""
        return [*ROWS, *(begin + str(count) for count in self.refine for begin in (REFINED, ITERATIONS))]

    def check(self, tasks: Mapping[str, Any], model: Component) -> Sequence[tuple[str, str]]:
        """A reward that a task does not have."""
        if self.reward in ("error", "residual", None):
            # A prior is scored on steady tasks alone, and which model is scored is not known here.
            tasks = {name: task for name, task in tasks.items() if task.kind == "steady"} or tasks
        return [
            ("reward", f"task '{name}' {lack}; remove the task, or {self._other_way}")
            for name, task in tasks.items()
            if (lack := self._lack(task))
        ]

    @property
    def _other_way(self) -> str:
        return "the step" if self.reward is None else "choose another reward"

    def _lack(self, task: Any) -> str:
        """Why a task does not have the reward, as far as that is known before its solver is loaded."""
        if self.reward == "invariants":
            return "" if task.invariants else "conserves nothing"
        if self.reward == "bounds":
            return "" if task.positive_targets else "has no positive channel"
        if self.reward == "error":
            return "" if task.solver in ("unknown", "iterative") else "has no iterative solver"
        if task.solver != "none":
            return ""
        if self.reward == "residual":
            return "has no solver"
        if task.invariants or task.positive_targets:
            return ""
        return "has no solver, no invariant and no positive channel to choose candidates by"

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Sequence[tuple[str, str]]:
        """A model that draws no candidates, or none for single frames."""
        source = inputs.get("simulator")
        if not isinstance(source, StageConfig):
            return []
        if not source.samples:
            return [
                (
                    "needs",
                    "the model makes one prediction, which leaves nothing to choose from; name an ensemble, "
                    "a flow, a student or a prior",
                )
            ]
        if (found := source.correlates_frames) is not None:
            option, plain = found
            difference = "its rollouts differ from frames that are drawn one by one, as candidates are"
            way = f"set it to {plain}, or name another step"
            return [("needs", f"the model has {option}, so {difference}; {way}")]
        return []
