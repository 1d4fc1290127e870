"""What a PDE problem is, described once for planners, models, bundles and reports.

Imports neither torch nor numpy, so that planning stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ups_core.names import check_names

Role = Literal["state", "coefficient", "target"]


@dataclass(frozen=True)
class Channel:
    """One field.

    Attributes:
        name: e.g. `u`.
        unit: physical unit; "1" for a dimensionless field.
        role: `state` evolves in time, `coefficient` is given, `target` is to be found.
    """

    name: str
    unit: str
    role: Role


@dataclass(frozen=True)
class Parameter:
    """One number that a PDE depends on, with the range that the task covers.

    Attributes:
        name: e.g. `beta`.
        unit: physical unit; "1" for a dimensionless parameter.
        low: smallest value of the task.
        high: largest value of the task.
        scale: whether models get the value (`linear`) or its logarithm (`log`).
    """

    name: str
    unit: str
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"


@dataclass(frozen=True)
class TaskInfo:
    """All that a model or a report may know about a task; a round trip through JSON changes nothing.

    Names of channels and of parameters are :data:`ups_core.names.FIELD`, each different from the others;
    :class:`ups_core.UPSError` names the one that is not.

    Attributes:
        name: the task's name in the spec.
        family: the registered kind, e.g. `advection1d`.
        kind: `evolution` (state to later state) or `steady` (coefficient to solution).
        channels: all fields, in the order of the arrays.
        parameters: the numbers that the PDE depends on, in the order of `FieldBatch.params`.
        boundary: `periodic` or `dirichlet`.
        domain: (low, high) of every spatial axis.
        shape: grid points along every spatial axis.
        dt: physical time between frames; 0 when steady.
        frames: frames of a trajectory, including the given ones; 1 when steady.
        history: frames given to a model; 0 when steady.
        invariants: quantities that the exact solution conserves (`mean`, `l2`).
        equation: the problem in one line of text.
        symmetries: transformations that map solutions to solutions, by their names in
            :data:`ups_data.batches.symmetry.SYMMETRIES`.
    """

    name: str
    family: str
    kind: Literal["evolution", "steady"]
    channels: tuple[Channel, ...]
    parameters: tuple[Parameter, ...]
    boundary: str
    domain: tuple[tuple[float, float], ...]
    shape: tuple[int, ...]
    dt: float
    frames: int
    history: int
    invariants: tuple[str, ...]
    equation: str
    symmetries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(f"task '{self.name}': channel", [channel.name for channel in self.channels])
        check_names(f"task '{self.name}': parameter", [parameter.name for parameter in self.parameters])

    @property
    def dim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def state_channels(self) -> tuple[Channel, ...]:
        """Channels that evolve; empty when steady."""
        return self._with_role("state")

    @property
    def static_channels(self) -> tuple[Channel, ...]:
        """Given coefficient fields."""
        return self._with_role("coefficient")

    @property
    def target_channels(self) -> tuple[Channel, ...]:
        """Channels to predict: the state of an evolution, the solution of a steady problem."""
        return self.state_channels if self.kind == "evolution" else self._with_role("target")

    def _with_role(self, role: Role) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.channels if channel.role == role)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` is the inverse, also after a round trip through JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TaskInfo:
        """The inverse of :meth:`to_dict`."""
        plain = dict(data)
        return cls(
            **plain
            | {
                "channels": tuple(Channel(**channel) for channel in plain["channels"]),
                "parameters": tuple(Parameter(**parameter) for parameter in plain["parameters"]),
                "domain": tuple((float(low), float(high)) for low, high in plain["domain"]),
                "shape": tuple(plain["shape"]),
                "invariants": tuple(plain["invariants"]),
                "symmetries": tuple(plain.get("symmetries", ())),
            }
        )
