"""The spec language: what a `spec.yaml` may say, as pydantic models.

Components keep their options beside their `kind`; a pipeline entry is `stage: NAME` or `evaluate: NAME`
with the component's options beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from ups_core.config import Component, Config, Registered, component_schema, default_component, find_component
from ups_core.registry import Entry, registry_in_use
from ups_core.step import StepConfig

ROLES = {"stage": "stages", "evaluate": "evaluations"}
"""Pipeline keyword -> registry kind."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""What a run may be called."""


class SamplingSpec(Config):
    """How training batches are drawn from several tasks."""

    kind: Literal["balanced"] = "balanced"
    """`balanced`: tasks are interleaved evenly over every epoch."""
    temperature: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """A task's share is proportional to size**temperature: 1 every sample once an epoch, 0 equal shares."""


class TrainerSpec(Config):
    """Where and how training computes."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"workers", "max_time"})
    """Options that change no result."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """`auto` takes a GPU when there is one."""
    devices: Annotated[int, Field(ge=1)] = 1
    """Number of devices, each with a process and batches of its own: twice as many see twice the samples."""
    strategy: Annotated[Component, Registered("strategies")] = default_component("auto")
    """How several devices share the work."""
    precision: Literal["auto", 32, "tf32", "bf16-mixed", "16-mixed"] = "auto"
    """`auto`: bf16-mixed on a GPU that has it, else 32. `tf32`: 32, matrix products in TensorFloat-32."""
    batch: Literal["spec", "auto"] = "spec"
    """`auto`: a stage's batch comes in as many micro-batches as memory demands, whose gradients are added up;
    `spec`: in one piece, until memory runs out."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that prepare batches ahead of training, for each device; the batches are the same."""
    max_time: Annotated[float, Field(gt=0.0)] | None = None
    """Seconds after which `ups-run` stops with a checkpoint and exit code 75; the same command goes on."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of every process; default: what torch chooses, or with several processes its share."""

    @model_validator(mode="after")
    def _half_needs_a_gpu(self) -> TrainerSpec:
        if self.accelerator == "cpu" and self.precision in ("16-mixed", "tf32"):
            raise ValueError(f"precision {self.precision} needs a GPU; on a CPU use 32 or bf16-mixed")
        return self


@dataclass(frozen=True)
class StepSpec:
    """One pipeline entry: which component, with which options."""

    role: Literal["stage", "evaluate"]
    entry: Entry
    config: StepConfig

    @property
    def id(self) -> str:
        return self.config.id or self.entry.name

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
        return {
            "oneOf": [
                component_schema(entry, keyword=role)
                for role, kind in ROLES.items()
                for entry in registry_in_use().entries(kind)
            ]
        }

    def _validate(self, value: Any, info: ValidationInfo) -> StepSpec:
        if isinstance(value, StepSpec):
            return value
        roles = [key for key in value if key in ROLES] if isinstance(value, Mapping) else []
        if len(roles) != 1:
            error = PydanticCustomError(
                "pipeline_entry", "a pipeline entry has either 'stage: NAME' or 'evaluate: NAME'", {}
            )
            raise ValidationError.from_exception_data(
                "pipeline", [InitErrorDetails(type=error, loc=tuple(roles[1:]), input=value)]
            )
        role = roles[0]
        options = {key: option for key, option in value.items() if key != role}
        component = find_component(ROLES[role], value[role], options, info, keyword=role)
        if not isinstance(component.config, StepConfig):
            raise PydanticCustomError(
                "pipeline_entry",
                "'{name}' is no pipeline step: its options are no StepConfig",
                {"name": component.kind},
            )
        return StepSpec(role, component.entry, component.config)


class PipelineSpec(Config):
    """A whole experiment: tasks, model, training and evaluation."""

    version: Literal[1]
    """Version of the spec language."""
    name: Annotated[str, Field(pattern=NAME)]
    """Names the run directory."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seeds weights, order and augmentation."""
    tasks: Annotated[dict[str, Annotated[Component, Registered("tasks")]], Field(min_length=1)]
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
