"""The spec language: what a `spec.yaml` may contain, as pydantic models.

Components keep their options beside their `kind`; a pipeline entry is `stage: NAME` or `evaluate: NAME`
with the component's options beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from ups_core.component import REGISTERED, Component, Registered, default_component, find_component
from ups_core.config import Config
from ups_core.entry import Entry
from ups_core.names import RUN, TASK, step_id
from ups_core.step_config import StepConfig
from ups_core.trainer import TrainerSpec

ROLES = {"stage": "stages", "evaluate": "evaluations"}
"""Key of a pipeline entry -> registry kind."""

PIPELINE = "pipeline"
"""Mark of a pipeline entry in a JSON Schema, replaced by all stages and evaluations."""


class SamplingSpec(Config):
    """How training batches are drawn from several tasks."""

    former_keys: ClassVar[Mapping[str, str]] = {"kind": "removed in 0.2: tasks are always interleaved evenly"}

    temperature: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """A task's share is proportional to size**temperature: 1 every sample once an epoch, 0 equal shares."""


@dataclass(frozen=True)
class StepSpec:
    """One pipeline entry: which component, with which options."""

    role: Literal["stage", "evaluate"]
    entry: Entry
    config: StepConfig

    @property
    def id(self) -> str:
        return self.config.id or step_id(self.entry.name)

    def to_dict(self) -> dict[str, Any]:
        options = self.config.model_dump(mode="json") | {"id": self.id}
        return {self.role: self.entry.name, **options}


class _PipelineEntry:
    """Annotation that validates a pipeline entry into a :class:`StepSpec`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate, serialization=core_schema.plain_serializer_function_ser_schema(StepSpec.to_dict)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {REGISTERED: PIPELINE}

    def _validate(self, value: Any, info: ValidationInfo) -> StepSpec:
        if isinstance(value, StepSpec):
            return value
        # Both keys or neither are mistakes; two are reported at the second one.
        roles = [key for key in value if key in ROLES] if isinstance(value, Mapping) else []
        if len(roles) != 1:
            error = PydanticCustomError(
                "pipeline_entry", "write a pipeline entry as 'stage: NAME' or 'evaluate: NAME'", {}
            )
            raise ValidationError.from_exception_data(
                "pipeline", [InitErrorDetails(type=error, loc=tuple(roles[1:]), input=value)]
            )
        role = roles[0]
        options = {key: option for key, option in value.items() if key != role}
        component = find_component(ROLES[role], value[role], options, info, keyword=role)
        assert isinstance(component.config, StepConfig)  # Entry.load_config has checked it
        return StepSpec(role, component.entry, component.config)


class PipelineSpec(Config):
    """A complete experiment: tasks, model, training and evaluation."""

    version: Literal[1]
    """Version of the spec language."""
    name: Annotated[str, Field(pattern=RUN)]
    """Names the run directory."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seeds weights, order and augmentation."""
    tasks: Annotated[
        dict[Annotated[str, Field(pattern=TASK)], Annotated[Component, Registered("tasks")]],
        Field(min_length=1),
    ]
    """PDE problems by name."""
    sampling: SamplingSpec = SamplingSpec()
    """How batches are drawn from the tasks."""
    model: Annotated[Component, Registered("models")]
    """The network that training stages train."""
    trainer: Annotated[TrainerSpec, Field(validate_default=True)] = {}  # type: ignore[assignment]
    """Devices, precision and strategy."""
    launcher: Annotated[Component, Registered("launchers")] = default_component("local")
    """How steps are started; does not change results."""
    trackers: list[Annotated[Component, Registered("trackers")]] = []
    """Experiment trackers beside metrics.jsonl; do not change results."""
    pipeline: Annotated[list[Annotated[StepSpec, _PipelineEntry()]], Field(min_length=1)]
    """Stages and evaluation steps in order."""

    def effect(self) -> dict[str, Any]:
        """What results depend on: not where steps run, nor for how long at a time."""
        content = self.model_dump(mode="json", exclude={"launcher"})
        for option in TrainerSpec.without_effect:
            del content["trainer"][option]
        return content

    def experiment(self) -> dict[str, Any]:
        """What results depend on apart from chance; runs of one experiment differ in the rest."""
        return {key: value for key, value in self.effect().items() if key not in ("name", "seed", "trackers")}
