"""The `report` step of a pipeline."""

from __future__ import annotations

from ups_core import StepContext, StepResult
from ups_eval.config import ReportConfig
from ups_eval.report.render import write_report


class ReportStep:
    """Writes the page of the run, which the runner copies to `report/index.html`.

    Args:
        config: title and animations.
    """

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        """Render the page; the step has no metrics."""
        write_report(
            context.run_directory,
            context.directory,
            title=context.redact(self.config.title) if self.config.title else None,
            animate=self.config.animate,
            own_step=context.step_id,
        )
        return StepResult()
