"""The references of a spec: of exactly the methods and data that it uses, in the order of their use."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import metadata
from typing import NamedTuple

from ups_core.citation import Citation
from ups_core.component import Component, components, validate_options
from ups_core.config import Config
from ups_core.entry import Entry
from ups_core.plugin_loader import registry_in_use
from ups_core.spec import PipelineSpec
from ups_core.step_config import StepConfig


class Cited(NamedTuple):
    """A reference as pages and commands show it."""

    key: str
    text: str
    bibtex: str


def citations_of(spec: PipelineSpec) -> list[Cited]:
    """The references of a spec, UPS first, each once.

    Two references with one key, of two plugins, get different ones: the second has a `b` at its end.

    Raises:
        UPSError: a plugin's reference cannot be imported.
    """
    used = [citation for entry, config in _used(spec) for citation in entry.citations(config)]
    cited: dict[str, Cited] = {}
    for citation in dict.fromkeys([ups(), *used]):
        key = citation.key
        while key in cited:
            key += "b"
        bibtex = citation.bibtex().replace(f"{{{citation.key},", f"{{{key},", 1)
        cited[key] = Cited(key, citation.text(), bibtex)
    return list(cited.values())


def ups() -> Citation:
    """UPS itself, from the metadata of this package."""
    about = metadata("ups-core")
    return Citation(
        key="ups",
        kind="misc",
        title="UPS: the Universal Physics Stack",
        author=f"{{{about['Author']}}}",
        version=about["Version"],
    )


def _used(spec: PipelineSpec) -> Iterator[tuple[Entry, Config]]:
    """Every component that the spec uses, with its options: tasks, then steps with their models."""
    for task in spec.tasks.values():
        yield from _with_parts(task)
    for step in spec.pipeline:
        model = step.config.trained_model(spec.model)
        if model is not None:
            yield from _with_parts(model)
        yield step.entry, step.config
        yield from _parts(step.config)
        for requirement in step.config.requirements():
            component = requirement.component or _model(requirement.model)
            if component is not None:
                yield from _with_parts(component)
    yield from _with_parts(spec.trainer.strategy)


def _model(name: str) -> Component | None:
    """A baseline with default options; None for the id of a step, whose model is cited there."""
    entry = registry_in_use().find("models", name)
    return None if entry is None else Component(entry, validate_options(entry.load_config(), {}))


def _with_parts(component: Component) -> Iterator[tuple[Entry, Config]]:
    yield component.entry, component.config
    yield from _parts(component.config)


def _parts(config: Config) -> Iterator[tuple[Entry, Config]]:
    """The components inside options, without those that these options do not use."""
    unused = config.unused() if isinstance(config, StepConfig) else ()
    for name in type(config).model_fields:
        if name not in unused:
            for part in components(getattr(config, name)):
                yield part.entry, part.config
