"""What all trials of a study share: the spec as it was read once, and how values become a plan.

The document is read when the study starts, so editing the spec while trials run changes none of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ups_core.compose import apply_override
from ups_core.document import Document
from ups_core.errors import Issue, SpecError, UsageError
from ups_core.fingerprint import digest
from ups_core.plan import Plan
from ups_core.planner import make_plan
from ups_core.spec import PipelineSpec
from ups_core.study.objective import training_part
from ups_core.study.space import Parameter, Range, Space, Values, assignments
from ups_core.validate import validate


@dataclass(frozen=True)
class Experiment:
    """The complete spec, the metric to optimise, and where trials run and find data."""

    document: Document
    metric: str
    runs_dir: Path
    data_root: Path

    def load(self, values: Values) -> tuple[PipelineSpec, Document]:
        """The trial's spec, cut to what trials run. Raises :class:`SpecError`."""
        document = copy.deepcopy(self.document)
        for text in assignments(values):
            apply_override(document, text)
        return training_part(validate(document), document, self.metric)

    def plan(self, values: Values) -> Plan:
        """The trial's plan; its directory is named as that of any run.

        Raises:
            SpecError: the values fit neither each other nor the data.
        """
        spec, document = self.load(values)
        return make_plan(spec, document, runs_dir=self.runs_dir, data_root=self.data_root)

    def check(self, space: Space) -> None:
        """Refuse what could only give failing or equal trials.

        Every choice and both ends of every range are validated together with the first values of the other
        parameters. Only mistakes at the value itself count: an invalid combination fails the trial that
        draws it.

        Raises:
            SpecError: the spec has no such key, or does not accept the value.
            UsageError: the parameter changes nothing that trials run.
        """
        first = {parameter.key: parameter.probes[0] for parameter in space}
        issues: list[Issue] = []
        for parameter in space:
            prints = set()
            for value in parameter.probes:
                try:
                    spec, _ = self.load(first | {parameter.key: value})
                except SpecError as error:
                    issues += _own(error, parameter, assignments({parameter.key: value})[0])
                    prints.add(repr(value))
                    continue
                prints.add(digest(spec.model_dump(mode="json")))
            if len(prints) == 1:
                raise UsageError(
                    f"--param {parameter.key} changes nothing: trials only train and validate; remove it"
                )
        if issues:
            raise SpecError(issues)


def _own(error: SpecError, parameter: Parameter, assignment: str) -> Iterator[Issue]:
    """The mistakes at the value that the parameter sets."""
    for issue in error.issues:
        if issue.file == f"--set {assignment}":
            no_integer = isinstance(parameter, Range) and not parameter.integer and "integer" in issue.message
            way_out = "; write LOW:HIGH:int" if no_integer else ""
            yield replace(issue, message=issue.message + way_out)
