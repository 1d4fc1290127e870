"""What a PDE problem is, described once for planners, models, bundles and reports.

Imports neither torch nor numpy, so that planning stays fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, get_args

from ups_core.errors import UPSError
from ups_core.mistakes import did_you_mean
from ups_core.names import check_names

Role = Literal["state", "coefficient", "target", "forcing"]
Kind = Literal["evolution", "steady"]
Scale = Literal["linear", "log"]
Boundary = Literal["periodic", "dirichlet", "neumann", "open", "wall"]
Sides = tuple[Boundary, Boundary]
"""Boundaries at the low and at the high end of an axis."""
Invariant = Literal["mean", "l2"]
Symmetry = Literal["translation", "reflection", "sign", "odd_reflection", "transpose"]
SolverKind = Literal["unknown", "none", "forward", "differentiable", "iterative"]


def everywhere(boundary: Boundary, dim: int) -> tuple[Sides, ...]:
    """The same boundary at both ends of each of `dim` axes."""
    return ((boundary, boundary),) * dim


@dataclass(frozen=True)
class Channel:
    """One field.

    Attributes:
        name: e.g. `u`.
        unit: physical unit; "1" for a dimensionless field.
        role: `state` evolves in time, `coefficient` is given (a medium, a mask, a force), `target` is to be
            found, `forcing` varies in time and is given at every frame, future ones included (a control).
        vector: the vector or tensor that the channel is a component of, e.g. `velocity`; "" for a scalar.
        component: the spatial axes of the component: `(0,)` is the one along x of a vector, `(0, 1)` the xy
            one of a tensor. Mirrors and exchanges of axes change vectors and tensors by them.
        positive: whether the field cannot be negative (a density, a concentration).
        values: the only values that it can have, in increasing order (materials); empty for any.
    """

    name: str
    unit: str
    role: Role
    vector: str = ""
    component: tuple[int, ...] = ()
    positive: bool = False
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        where = f"channel '{self.name}'"
        _check_word(where, "role", self.role, Role)
        if bool(self.vector) != bool(self.component):
            raise UPSError(f"{where}: a component needs the name of its vector and its axes")
        if len(self.values) == 1 or any(not low < high for low, high in pairwise(self.values)):
            raise UPSError(f"{where}: values {self.values} must be two or more that increase")


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
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        where = f"parameter '{self.name}'"
        _check_word(where, "scale", self.scale, Scale)
        if not self.low <= self.high:
            raise UPSError(f"{where}: low {self.low:g} exceeds high {self.high:g}; exchange them")
        if self.scale == "log" and self.low <= 0:
            raise UPSError(f"{where}: low {self.low:g} has no logarithm; use scale 'linear'")


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
        boundary: `periodic`, `dirichlet` (values given), `neumann` (fluxes given), `open` (what arrives
            leaves) or `wall` (nothing passes): one word for all sides, or two for every axis, its low and its
            high end. Models pad by it, and know the place along axes that are not periodic.
        domain: (low, high) of every spatial axis.
        shape: grid points along every spatial axis.
        dt: physical time between frames; 0 when steady.
        frames: frames of a trajectory, including the given ones; 1 when steady.
        history: frames given to a model; 0 when steady.
        invariants: quantities that the exact solution conserves (`mean`, `l2`).
        equation: the problem in one line of text.
        symmetries: transformations that map solutions to solutions, by their names in
            :data:`ups_data.batches.symmetry.SYMMETRIES`.
        points: coordinate of the first and the last grid point of every axis, between which the others are
            evenly spaced, or the coordinates of all; default: the centres of equal cells.
        solver: what the task's classical solver can do, for checks of a plan, which does not load it: `none`
            (there is none), `forward`, `differentiable` (gradients pass through its residual), `iterative`
            (that, and it refines approximations). Of this computer's code, so it is not saved with a problem.

    Raises:
        UPSError: a word or a number is not one that a task may have.
    """

    name: str
    family: str
    kind: Kind
    channels: tuple[Channel, ...]
    parameters: tuple[Parameter, ...]
    boundary: Boundary | tuple[Sides, ...]
    domain: tuple[tuple[float, float], ...]
    shape: tuple[int, ...]
    dt: float
    frames: int
    history: int
    invariants: tuple[Invariant, ...]
    equation: str
    symmetries: tuple[Symmetry, ...] = ()
    points: tuple[tuple[float, ...], ...] = ()
    solver: SolverKind = field(default="unknown", compare=False)

    def __post_init__(self) -> None:
        _check_words(self)
        problem = next(_problems(self), None)
        if problem is not None:
            raise UPSError(f"task '{self.name}': {problem}")
        check_names(f"task '{self.name}': channel", [channel.name for channel in self.channels])
        check_names(f"task '{self.name}': parameter", [parameter.name for parameter in self.parameters])

    @property
    def dim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def sides(self) -> tuple[Sides, ...]:
        """Boundaries of every axis, at its low and at its high end."""
        return everywhere(self.boundary, self.dim) if isinstance(self.boundary, str) else self.boundary

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Which axes wrap around."""
        return tuple(low == "periodic" for low, _ in self.sides)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring grid points along every axis, the mean one if they differ."""
        return tuple(
            (ends[-1] - ends[0]) / max(1, cells - 1)
            for ends, cells in zip(self._ends, self.shape, strict=True)
        )

    @property
    def uniform(self) -> tuple[bool, ...]:
        """Along which axes the grid points are evenly spaced."""
        return tuple(len(ends) == 2 for ends in self._ends)

    @cached_property
    def axes(self) -> tuple[tuple[float, ...], ...]:
        """Coordinates of the grid points along every axis."""
        return tuple(
            tuple(ends[0] + number * step for number in range(cells)) if even else ends
            for ends, step, cells, even in zip(
                self._ends, self.spacing, self.shape, self.uniform, strict=True
            )
        )

    @property
    def _ends(self) -> tuple[tuple[float, ...], ...]:
        """`points`, or the centres of the first and the last of equal cells."""
        return self.points or tuple(
            (low + (high - low) / cells / 2, high - (high - low) / cells / 2)
            for (low, high), cells in zip(self.domain, self.shape, strict=True)
        )

    @property
    def state_channels(self) -> tuple[Channel, ...]:
        """Channels that evolve; empty when steady."""
        return self._with_role("state")

    @property
    def static_channels(self) -> tuple[Channel, ...]:
        """Given coefficient fields."""
        return self._with_role("coefficient")

    @property
    def forcing_channels(self) -> tuple[Channel, ...]:
        """Fields that are given at every frame."""
        return self._with_role("forcing")

    @property
    def target_channels(self) -> tuple[Channel, ...]:
        """Channels to predict: the state of an evolution, the solution of a steady problem."""
        return self.state_channels if self.kind == "evolution" else self._with_role("target")

    @property
    def positive_targets(self) -> tuple[int, ...]:
        """Places among the target channels of those that cannot be negative."""
        return tuple(place for place, channel in enumerate(self.target_channels) if channel.positive)

    def _with_role(self, role: Role) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.channels if channel.role == role)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` is the inverse, also after a round trip through JSON."""
        plain = asdict(self)
        del plain["solver"]
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TaskInfo:
        """The inverse of :meth:`to_dict`."""
        plain = dict(data)
        boundary = plain["boundary"]
        if not isinstance(boundary, str):
            boundary = tuple((low, high) for low, high in boundary)
        return cls(
            **plain
            | {
                "boundary": boundary,
                "channels": tuple(
                    Channel(**channel | {key: tuple(channel.get(key, ())) for key in ("component", "values")})
                    for channel in plain["channels"]
                ),
                "parameters": tuple(Parameter(**parameter) for parameter in plain["parameters"]),
                "domain": tuple((float(low), float(high)) for low, high in plain["domain"]),
                "shape": tuple(plain["shape"]),
                "invariants": tuple(plain["invariants"]),
                "symmetries": tuple(plain.get("symmetries", ())),
                "points": tuple(tuple(map(float, ends)) for ends in plain.get("points", ())),
            }
        )


def _check_word(where: str, what: str, word: Any, words: Any) -> None:
    """Raise :class:`UPSError` unless `word` is one of a Literal's words."""
    known = get_args(words)
    if word not in known:
        hint = did_you_mean(str(word), known)
        if "known:" not in hint:
            hint += f" (known: {', '.join(known)})"
        raise UPSError(f"{where}: unknown {what} {word!r}{hint}")


def _check_words(task: TaskInfo) -> None:
    where = f"task '{task.name}'"
    _check_word(where, "kind", task.kind, Kind)
    for sides in [task.boundary] if isinstance(task.boundary, str) else task.boundary:
        for word in [sides] if isinstance(sides, str) else sides:
            _check_word(where, "boundary", word, Boundary)
    for invariant in task.invariants:
        _check_word(where, "invariant", invariant, Invariant)
    for symmetry in task.symmetries:
        _check_word(where, "symmetry", symmetry, Symmetry)


def _problems(task: TaskInfo) -> Iterator[str]:
    """What contradicts the definition of a task."""
    if not 1 <= task.dim <= 3:
        yield f"the shape has {task.dim} axes; use 1, 2 or 3"
    if len(task.domain) != task.dim or len(task.points) not in (0, task.dim):
        yield f"domain, points and the shape of {task.dim} axes differ in length"
    for ends, cells in zip(task.points, task.shape, strict=False):
        if len(ends) not in (2, cells):
            yield f"points has {len(ends)} coordinates along an axis of {cells} points; give 2 or all"
        if any(not low < high for low, high in pairwise(ends)):
            yield "points has coordinates that do not increase"
    for channel in task.channels:
        if any(not 0 <= axis < task.dim for axis in channel.component):
            yield f"channel '{channel.name}' is a component along axes {channel.component} of {task.dim}"
    if len(task.sides) != task.dim or any(len(sides) != 2 for sides in task.sides):
        yield f"boundary {task.boundary} needs a word for both ends of each of {task.dim} axes, or one"
        return
    for axis, (low, high) in enumerate(task.sides):
        if (low == "periodic") != (high == "periodic"):
            yield f"axis {axis} is 'periodic' at one end only ({low}, {high}); write it for both"
    if any(not low < high for low, high in task.domain):
        yield f"domain {task.domain} has an axis without length"
    if not task.target_channels:
        role = "state" if task.kind == "evolution" else "target"
        yield f"no channel has the role '{role}', so there is nothing to predict; add one"
    if task.kind == "steady" and task.forcing_channels:
        name = task.forcing_channels[0].name
        yield f"forcing '{name}' varies in time, but the task is steady; give it the role 'coefficient'"
    if task.kind == "steady" and task.invariants:
        yield f"a steady task conserves nothing; remove invariant '{task.invariants[0]}'"
    if "translation" in task.symmetries and not any(task.periodic):
        yield f"boundary '{task.sides[0][0]}' has no symmetry 'translation'; remove it"
    uneven = [(axis, low, high) for axis, (low, high) in enumerate(task.sides) if low != high]
    mirrored = sorted({"reflection", "odd_reflection"} & set(task.symmetries))
    if uneven and mirrored:
        axis, low, high = uneven[0]
        yield f"axis {axis} between '{low}' and '{high}' has no symmetry '{mirrored[0]}'; remove it"
    if "odd_reflection" in task.symmetries and task.dim != 1:
        yield f"symmetry 'odd_reflection' is defined on one axis, not on {task.dim}; remove it"
    signs = sorted({"sign", "odd_reflection"} & set(task.symmetries))
    if task.kind == "steady" and signs:
        yield f"symmetry '{signs[0]}' negates states, which a steady task does not have; remove it"
    if "transpose" in task.symmetries and not _square(task):
        yield (
            f"symmetry 'transpose' needs two last axes that are equal, not {task.shape} on {task.domain} "
            f"with {task.sides}"
        )
    if "transpose" in task.symmetries and task.dim > 1 and (alone := _without_partner(task)):
        yield (
            f"symmetry 'transpose' exchanges component {alone.component} of '{alone.vector}' with one "
            "that is not there; remove it"
        )


def _square(task: TaskInfo) -> bool:
    """Whether the last two axes have the same boundaries, and the same grid points relative to their ends."""
    if task.dim < 2:
        return False
    first, second = (
        (
            task.shape[axis],
            task.domain[axis][1] - task.domain[axis][0],
            task.spacing[axis],
            task.sides[axis],
        )
        for axis in (-2, -1)
    )
    return first == second


def exchanged(channel: Channel, axes: tuple[int, int], channels: Sequence[Channel]) -> int | None:
    """Place among `channels` of the component that this one becomes if two axes are exchanged.

    A symmetric tensor has its components on and above the diagonal only.

    Returns:
        None if the component is not there.
    """
    other = {axes[0]: axes[1], axes[1]: axes[0]}
    wanted = tuple(other.get(axis, axis) for axis in channel.component)
    places = {item.component: place for place, item in enumerate(channels) if item.vector == channel.vector}
    diagonal = any(len(component) > len(set(component)) for component in places)
    return places.get(wanted, places.get(tuple(sorted(wanted))) if diagonal else None)


def _without_partner(task: TaskInfo) -> Channel | None:
    """A component whose partner under an exchange of the last two axes is not among the channels."""
    axes = task.dim - 2, task.dim - 1
    for channels in (task.static_channels, task.target_channels, task.forcing_channels):
        for channel in channels:
            if channel.vector and exchanged(channel, axes, channels) is None:
                return channel
    return None
