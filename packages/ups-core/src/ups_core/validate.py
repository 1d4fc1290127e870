"""Validation: from a composed document to a :class:`PipelineSpec`, or every mistake at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from ups_core.component import validate_options
from ups_core.compose import read_spec
from ups_core.document import Document, KeyPath
from ups_core.errors import Issue, SpecError
from ups_core.mistakes import did_you_mean, explain_mistake
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Registry
from ups_core.spec import PipelineSpec


def load_spec(
    path: Path, overrides: Sequence[str] = (), registry: Registry | None = None
) -> tuple[PipelineSpec, Document]:
    """Read and validate a spec; pure: looks at no data and imports no component.

    Raises:
        SpecError: with every mistake, sorted by place.
    """
    document = read_spec(Path(path), overrides)
    return validate(document, registry), document


def validate(document: Document, registry: Registry | None = None) -> PipelineSpec:
    """Validate a composed document. Raises :class:`SpecError`."""
    registry = registry or registry_in_use()
    try:
        spec = validate_options(PipelineSpec, document.data, registry)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise SpecError([explain_mistake(document, detail, registry) for detail in details]) from None
    assert isinstance(spec, PipelineSpec)
    issues = list(_cross_checks(spec, document))
    if issues:
        raise SpecError(issues)
    return spec


def _cross_checks(spec: PipelineSpec, document: Document) -> Iterator[Issue]:
    if "kind" in spec.tasks:  # a mapping with `kind` is a component where specs are merged
        yield document.issue(("tasks", "kind"), "a task cannot be called 'kind'; choose another name")
    seen: list[str] = []
    for index, step in enumerate(spec.pipeline):
        path: KeyPath = ("pipeline", index)
        if step.id in seen:
            yield document.issue(path, f"duplicate step id '{step.id}'; give this step another 'id'")
        for number, needed in enumerate(step.config.needs):
            if needed not in seen:
                yield document.issue(
                    (*path, "needs", number),
                    f"no earlier step has the id '{needed}'{did_you_mean(needed, seen)}",
                )
        seen.append(step.id)
