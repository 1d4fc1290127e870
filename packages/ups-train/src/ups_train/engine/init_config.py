"""The option `init` of a training: what it starts from, in place of weights that are drawn; without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from ups_core import Component, Config, UPSError
from ups_data.info import Channel, TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.bundle_config import OPERATOR, Form, form_of, read_bundle_config, weights_sum
from ups_train.optimizers.name_patterns import name_matcher


def _pattern(text: str) -> str:
    name_matcher(text)
    return text


class InitConfig(Config):
    """A trained model that a training starts from; without one, weights are drawn."""

    step: str | None = None
    """Id of an earlier step of the spec that trained it."""
    bundle: str | None = None
    """Directory of a saved model, such as `runs/NAME/steps/operator/model`."""
    continued: bool = False
    """Whether to continue the training of that step, with its optimizer, schedule and counters: `max_steps`,
    `epochs` and `budget` then count from its start. Else a new training starts from the weights."""
    freeze: list[Annotated[str, AfterValidator(_pattern)]] = []
    """Regular expressions of names of parameters that are not trained."""

    @model_validator(mode="after")
    def _one_source(self) -> InitConfig:
        if (self.step is None) == (self.bundle is None):
            raise ValueError("name either a step or a bundle to start from")
        if self.continued and self.step is None:
            raise ValueError("a bundle has no state of an optimizer; name the step that trained it")
        if self.continued and self.freeze:
            raise ValueError("a continued training keeps its set of trained parameters; remove freeze")
        return self

    def content(self) -> str:
        """The checksum of the weights that a bundle has; empty for a step, or a bundle that has none."""
        if self.bundle is None:
            return ""
        try:
            return weights_sum(read_bundle_config(Path(self.bundle)))
        except UPSError:
            return ""  # `problems` says why

    def problems(self, tasks: Mapping[str, Any], model: Component, form: Form) -> Sequence[str]:
        """Why a training of this form of this model on these tasks cannot start from the bundle."""
        return () if self.bundle is None else _problems(Path(self.bundle), tasks, model, form)


def other_normaliser(bundle: Path, other: Path) -> str | None:
    """Why weights of one saved model do not fit to those of another: they know a task by other normalisers.

    None if they do fit, or one cannot be read, of which :meth:`InitConfig.problems` tells.
    """
    try:
        here, there = _statistics(bundle), _statistics(other)
        for name in here.keys() & there.keys():
            if not Statistics.from_dict(here[name]).normalises_as(Statistics.from_dict(there[name])):
                return f"{bundle} has another normaliser of '{name}' than {other}; take both from one run"
    except (UPSError, KeyError, TypeError, ValueError, AttributeError):
        pass
    return None


def _statistics(bundle: Path) -> Mapping[str, Any]:
    """Task name -> saved statistics by which a simulator normalises; those of a flow are its operator's."""
    config = read_bundle_config(bundle)
    found: Mapping[str, Any] = config["statistics"]
    return _statistics(bundle / OPERATOR) if form_of(config) == "corrector" else found


_FORMS: Mapping[Form, str] = {"operator": "an operator", "corrector": "a flow or student", "prior": "a prior"}


def _problems(bundle: Path, tasks: Mapping[str, Any], model: Component, form: Form) -> list[str]:
    """Why a training cannot start from a saved model."""
    try:
        saved = read_bundle_config(bundle)
        known = {name: TaskInfo.from_dict(task) for name, task in saved["tasks"].items()}
    except UPSError as error:
        return [str(error)]
    if (there := form_of(saved)) != form:
        return [f"{bundle} is {_FORMS[there]}, and the step trains {_FORMS[form]}; name another bundle"]
    if saved["kind"] != model.kind:
        return [f"{bundle} is a '{saved['kind']}', and the step trains a '{model.kind}'; name another model"]
    for name, task in tasks.items():
        if name not in known:
            return [f"{bundle} was trained on {', '.join(known)}, not on '{name}'; call the task as there"]
        # A prior knows the mean of the fields in every point.
        grid = ("shape",) if form == "prior" else ()
        for what in ("kind", "channels", "history", "dim", "periodic", *grid):
            there, here = _property(known[name], what), _property(task, what)
            if there != here:
                return [
                    f"{bundle} was trained on another '{name}': {what} {_short(there)}, not {_short(here)}"
                ]
    return []


def _property(task: TaskInfo, what: str) -> Any:
    """What must be equal; whether a channel can be negative changes no model."""
    if what == "channels":
        return tuple(replace(channel, positive=False) for channel in task.channels)
    return getattr(task, what)


def _short(value: Any) -> str:
    """A property of a task in a message."""
    if isinstance(value, tuple) and value and isinstance(value[0], Channel):
        return ", ".join(channel.name for channel in value)
    return str(value)
