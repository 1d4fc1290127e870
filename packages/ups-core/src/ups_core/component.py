"""Components: an option that is itself registered, such as the optimizer inside a stage.

A component option is annotated with the registry that it comes from::

    class OperatorConfig(StageConfig):
        optimizer: Annotated[Component, Registered("optimizers")] = default_component("muon_hybrid")

so one pydantic validation of a complete spec checks the options of all plugins and reports all mistakes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from ups_core.config import Config
from ups_core.default_options import with_default_kinds
from ups_core.entry import Entry
from ups_core.errors import UPSError
from ups_core.kinds import KINDS
from ups_core.plugin_calls import described, plugin_call
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Registry

Options = TypeVar("Options", bound=Config)

REGISTERED = "x-ups-registered"
"""Mark of a component option in a JSON Schema, replaced by its kind in :mod:`ups_core.schema`."""


class Component:
    """A registered component chosen in a spec, with its validated options."""

    __slots__ = ("config", "entry")

    def __init__(self, entry: Entry, config: Config) -> None:
        self.entry = entry
        self.config = config

    @classmethod
    def of(cls, registry_kind: str, name: str, options: Mapping[str, Any] | None = None) -> Component:
        """A registered component from plain options, outside a spec.

        Args:
            registry_kind: e.g. `models`.
            name: the registered name.
            options: as in a spec; defaults for those that are not given.

        Raises:
            UPSError: no such component is registered.
            pydantic.ValidationError: an option is wrong.
        """
        registry = registry_in_use()
        entry = registry.get(registry_kind, name)
        return cls(entry, validate_options(entry.load_config(), options or {}, registry))

    @property
    def kind(self) -> str:
        """The registered name."""
        return self.entry.name

    def create(self, **dependencies: Any) -> Any:
        """Import the factory and call it as `factory(config, **dependencies)`."""
        return self.entry.create(self.config, **dependencies)

    def to_dict(self) -> dict[str, Any]:
        """The component as a resolved spec has it: `kind` first, every default written out."""
        return {"kind": self.kind, **self.config.model_dump(mode="json")}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __repr__(self) -> str:
        return f"Component({self.to_dict()})"


def validate_options(
    config: type[Options], options: Mapping[str, Any], registry: Registry | None = None
) -> Options:
    """Validate plain data (from YAML or JSON) as `config`.

    A mapping without `kind` changes the default of a component option.
    JSON mode keeps scalars strict (`"3"` is not an integer) while lists may fill tuples.

    Raises:
        pydantic.ValidationError: with one entry for every mistake.
        UPSError: a validator, of a plugin, has a bug.
    """
    context = {"registry": registry or registry_in_use()}
    try:
        # In strict mode pydantic accepts lists as tuples, and strings as enumerations, from JSON only.
        return config.model_validate_json(json.dumps(with_default_kinds(config, options)), context=context)
    except (ValidationError, UPSError):
        raise
    except Exception as error:
        name = f"{config.__module__}.{config.__qualname__}"
        raise UPSError(f"cannot check options: a validator of {name} raised {described(error)}") from error


def default_component(kind: str, **options: Any) -> Any:
    """The default of a component option; validated like a value from the spec."""
    return Field(default={"kind": kind, **options}, validate_default=True)


class Registered:
    """Annotation that makes a :class:`Component` option: its `kind` is looked up in a registry.

    With `or_step` a bare name stays text, for an option that also takes ids of steps; the options class
    returns it as a :class:`ups_core.Requirement`, and it is checked together with the pipeline.
    """

    def __init__(self, registry_kind: str, *, or_step: bool = False) -> None:
        self.registry_kind = registry_kind
        self.or_step = or_step

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A plain validator replaces the schema of `Component`, which is not a pydantic model: which options
        # are valid depends on the registry, not on the type.
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {REGISTERED: self.registry_kind}

    def _validate(self, value: Any, info: ValidationInfo) -> Component | str:
        if isinstance(value, Component) or (self.or_step and isinstance(value, str)):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            kind = KINDS[self.registry_kind]
            raise PydanticCustomError(
                "component_type",
                "expected the name of {what} or a mapping with 'kind'",
                {"what": f"{kind.article} {kind.singular}"},
            )
        if "kind" not in value:
            raise PydanticCustomError("component_kind", "missing key 'kind'", {})
        options = {key: option for key, option in value.items() if key != "kind"}
        component = find_component(self.registry_kind, value["kind"], options, info)
        return component if options or not self.or_step else component.kind


def _plain(value: Component | str) -> Any:
    return value if isinstance(value, str) else value.to_dict()


def find_component(
    registry_kind: str, name: object, options: Mapping[str, Any], info: ValidationInfo, keyword: str = "kind"
) -> Component:
    """Look a component up and validate its options; for pydantic validators.

    `keyword` is the key that held `name`: an unknown name is reported there.
    """
    registry: Registry = (info.context or {}).get("registry") or registry_in_use()
    entry = registry.find(registry_kind, name) if isinstance(name, str) else None
    if entry is None:
        message = registry.explain_missing(registry_kind, name)
        error = PydanticCustomError("unknown_component", "{message}", {"message": message})
        # pydantic merges a ValidationError of a validator into the outer one, with the outer path in
        # front, so all mistakes at all depths are reported together.
        raise ValidationError.from_exception_data(
            registry_kind, [InitErrorDetails(type=error, loc=(keyword,), input=name)]
        )
    with plugin_call(f"the options of {entry}"):
        return Component(entry, validate_options(entry.load_config(), options, registry))


def components(values: Any) -> Iterator[Component]:
    """Every component inside options, at any depth."""
    if isinstance(values, Component):
        yield values
        yield from components(values.config)
    elif isinstance(values, Config):
        for name in type(values).model_fields:
            yield from components(getattr(values, name))
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from components(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from components(value)
