"""Validation: from a composed document to a :class:`PipelineSpec`, or every mistake at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ups_core.component import validate_options
from ups_core.compose import open_short_forms, read_spec
from ups_core.document import Document, KeyPath
from ups_core.errors import Issue, SpecError
from ups_core.mistakes import did_you_mean, explain_mistake
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Registry
from ups_core.spec import PipelineSpec, StepSpec
from ups_core.step_config import Requirement

BLANK = "???"
"""A value that is still to be filled in, as OmegaConf writes it."""


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
    open_short_forms(document)
    blanks = [document.issue(path, f"fill in {BLANK}") for path in _blanks(document.data)]
    try:
        spec = validate_options(PipelineSpec, document.data, registry)
    except ValidationError as error:
        mistakes = [explain_mistake(document, detail, registry) for detail in error.errors(include_url=False)]
        raise SpecError([*blanks, *(issue for issue in mistakes if not _is_about(issue, blanks))]) from None
    assert isinstance(spec, PipelineSpec)
    issues = [*blanks, *_cross_checks(spec, document, registry)]
    if issues:
        raise SpecError(issues)
    return spec


def _blanks(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The places of values that are still to be filled in."""
    if data == BLANK:
        yield path
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield from _blanks(value, (*path, key))


def _is_about(mistake: Issue, blanks: Sequence[Issue]) -> bool:
    """Whether a mistake is what a type says about a blank, which is reported by itself."""
    return any(
        mistake.path == blank.path or mistake.path.startswith((f"{blank.path}.", f"{blank.path}["))
        for blank in blanks
    )


def _cross_checks(spec: PipelineSpec, document: Document, registry: Registry) -> Iterator[Issue]:
    if "kind" in spec.tasks:  # a mapping with `kind` is a component where specs are merged
        yield document.issue(("tasks", "kind"), "a task cannot be called 'kind'; choose another name")
    seen: dict[str, StepSpec] = {}
    for index, step in enumerate(spec.pipeline):
        path: KeyPath = ("pipeline", index)
        if step.id in seen:
            yield document.issue(path, f"duplicate step id '{step.id}'; give this step another 'id'")
        for number, needed in enumerate(step.config.needs):
            if problem := _need_problem(needed, step, seen):
                yield document.issue((*path, "needs", number), problem)
        if (origin := step.config.origin()) is not None and (
            problem := _origin_problem(origin[1], step, seen)
        ):
            yield document.issue((*path, *origin[0].split(".")), problem)
        for requirement in step.config.requirements():
            if problem := _name_problem(requirement, seen, registry):
                yield document.issue((*path, *requirement.option), problem)
        for option, message in step.config.check_names(list(spec.tasks)):
            yield document.issue((*path, *option.split(".")), message)
        seen.setdefault(step.id, step)


def _need_problem(needed: str, step: StepSpec, earlier: Mapping[str, StepSpec]) -> str | None:
    """Why `needs` names a step in vain."""
    if needed not in earlier:
        return f"no earlier step has the id '{needed}'{did_you_mean(needed, list(earlier))}"
    config = step.config
    if not config.consumes:
        return f"'{step.entry.name}' takes no input from another step; remove '{needed}'"
    if not set(config.consumes) & set(earlier[needed].config.produces):
        wanted = " or ".join(config.consumes)
        return f"'{step.entry.name}' consumes {wanted}, and '{needed}' produces none; remove it"
    return None


def _origin_problem(origin: str, step: StepSpec, earlier: Mapping[str, StepSpec]) -> str | None:
    """Why a training cannot start from a step."""
    if origin not in earlier:
        return f"no earlier step has the id '{origin}'{did_you_mean(origin, list(earlier))}"
    produced = earlier[origin].config.produces
    missing = [artifact for artifact in step.config.produces if artifact not in produced]
    if missing:
        return f"'{origin}' trains no {missing[0]}; name a step that does"
    return None


def _name_problem(
    requirement: Requirement, earlier: Mapping[str, StepSpec], registry: Registry
) -> str | None:
    """Why a baseline's name is neither that of a model nor the id of an earlier step."""
    name = requirement.model
    if registry.find("models", name) is not None:
        return None
    producers = [key for key, step in earlier.items() if requirement.artifact in step.config.produces]
    if name in producers:
        return None
    steps = f" (or name a step: {', '.join(producers)})" if producers else ""
    return f"{registry.explain_missing('models', name)}{steps}"
