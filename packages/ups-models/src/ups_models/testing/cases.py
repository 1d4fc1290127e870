"""Which models are checked, with which options, and what each of them promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ups_core import Component, ModelConfig
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use


@dataclass(frozen=True)
class ModelCase:
    """One model to check.

    Attributes:
        kind: the registered name.
        options: small ones, as in a spec: the toy grids have 32, 16² or 8³ cells.
        dims: grid dimensions that the model supports.
        kinds: kinds of tasks that it supports.
        starts_at_zero: whether an untrained network predicts zero, which makes it persistence (a steady task:
            the train mean).
        shift: on a periodic domain of any size, moving the input by a multiple of this many cells moves the
            output; 0 for a model that does not promise this.
        uses_parameters: whether the prediction depends on the PDE parameters.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dims: tuple[int, ...] = (1, 2, 3)
    kinds: tuple[str, ...] = ("evolution", "steady")
    starts_at_zero: bool = True
    shift: int = 0
    uses_parameters: bool = True

    def component(self) -> Component:
        """The model with its options.

        Raises:
            UPSError: no such model is registered.
            pydantic.ValidationError: an option is wrong.
        """
        registry = registry_in_use()
        entry = registry.get("models", self.kind)
        return Component(entry, validate_options(entry.load_config(), self.options, registry))

    def __str__(self) -> str:
        variant = [str(value) for value in self.options.values() if isinstance(value, str)]
        return "-".join([self.kind, *variant])


def registered_cases(known: Sequence[ModelCase] = (), provider: str | None = None) -> list[ModelCase]:
    """The known cases, and a case with default options for every other registered trainable model.

    Args:
        known: models with options and promises of their own.
        provider: only models of this distribution, e.g. `ups-models`; default: all models.
    """
    entries = [
        entry
        for entry in registry_in_use().entries("models")
        if provider in (None, entry.provider.distribution) and _trainable(entry.load_config())
    ]
    names = {entry.name for entry in entries}
    chosen = [case for case in known if case.kind in names]
    covered = {case.kind for case in chosen}
    return [*chosen, *(ModelCase(entry.name) for entry in entries if entry.name not in covered)]


def _trainable(config: type[Any]) -> bool:
    return issubclass(config, ModelConfig) and config.trainable
