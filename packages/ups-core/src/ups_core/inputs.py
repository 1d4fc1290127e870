"""Which earlier step a step takes its inputs from: what is under test, and what is only compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ups_core.expand import PipelineStep, baseline_id


def baseline_ids(pipeline: Iterable[PipelineStep]) -> frozenset[str]:
    """Ids of the steps that train what some step compares with, whether the user wrote them or not."""
    return frozenset(
        baseline_id(requirement.model) for step in pipeline for requirement in step.spec.config.requirements()
    )


def choose_input(
    artifact: str, step: PipelineStep, earlier: Sequence[PipelineStep], baselines: frozenset[str]
) -> PipelineStep | None:
    """The step that provides an artifact: one that `needs` names, else the newest that trains no baseline.

    Where all trained ones are baselines of other steps, the newest of these counts; what this step itself
    compares with never does.

    Args:
        artifact: a kind that the step consumes.
        step: which takes the input.
        earlier: the steps before it.
        baselines: see :func:`baseline_ids`.
    """
    needs, compared = step.spec.config.needs, baseline_ids([step])

    def own(other: PipelineStep) -> bool:
        return not other.baseline and other.spec.id not in compared

    for suits in (
        *([lambda other: other.spec.id in needs] if needs else []),
        lambda other: own(other) and other.spec.id not in baselines,
        own,
    ):
        for other in reversed(earlier):  # mostly ends at once: a plan may have thousands of steps
            if artifact in other.spec.config.produces and suits(other):
                return other
    return None
