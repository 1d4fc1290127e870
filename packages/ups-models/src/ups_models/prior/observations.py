"""Observations of a steady problem: some channels at some points, perhaps with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ups_core import UPSError
from ups_core.mistakes import did_you_mean
from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, TaskInfo


@dataclass(frozen=True)
class Observations:
    """What is known of B samples: values in physical units where the mask is true.

    Attributes:
        values: coefficients, then solutions `(B, J, *S)`; of no importance where nothing is observed.
        mask: where they are observed `(B, J, *S)`, bool.
        noise: standard deviation of the noise in every channel, in units of the channel's standard deviation
            over the train split `(B, J)`; 0 for exact observations, and in channels without any.
    """

    values: Tensor
    mask: Tensor
    noise: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of_fields(cls, fields: Tensor, mask: Tensor, noise: float = 0.0) -> Observations:
        """Observations of complete fields.

        Args:
            fields: `(B, J, *S)`.
            mask: where they are observed, bool; broadcasts over the fields.
            noise: of every channel that is observed; see the class.

        Raises:
            UPSError: the mask is on another grid, or is not bool.
        """
        _check_bool(mask)
        try:
            complete = mask.expand_as(fields)
        except RuntimeError:
            raise UPSError(
                f"the mask of the observations is {tuple(mask.shape)}, but the fields are "
                f"{tuple(fields.shape)}; give one of the same grid"
            ) from None
        return cls(fields, complete, noise * complete.flatten(2).any(dim=2).to(fields))

    @classmethod
    def at_points(
        cls, task: TaskInfo, channel: str, points: Any, values: Any, noise: float = 0.0
    ) -> Observations:
        """Observations of one channel of one sample at points; each counts for the nearest grid point.

        Args:
            task: the problem.
            channel: of the coefficient or the solution.
            points: coordinates `(N, d)`.
            values: in physical units `(N,)`.
            noise: see the class.

        Raises:
            UPSError: no observation is given, one is not a finite number or is outside the domain, or the
                channel is unknown.
        """
        names = [each.name for each in joint_channels(task)]
        if channel not in names:
            raise UPSError(f"task '{task.name}' has no channel '{channel}'{did_you_mean(channel, names)}")
        where, what = np.asarray(points, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if where.ndim != 2 or where.shape[1] != task.dim or what.shape != where.shape[:1]:
            raise UPSError(
                f"observations of '{channel}': points {where.shape} and values {what.shape}; "
                f"give (N, {task.dim}) and (N,)"
            )
        if not len(where):
            raise UPSError(f"observations of '{channel}': there is none; give at least one point")
        _check_finite(channel, what)
        _check_finite(channel, where, "at ")
        nearest = np.empty(where.shape, dtype=np.int64)
        for axis, ((low, high), grid) in enumerate(zip(task.domain, task.axes, strict=True)):
            outside = (where[:, axis] < low) | (where[:, axis] > high)
            if outside.any():
                number = int(np.argmax(outside))
                raise UPSError(
                    f"observation {number} of '{channel}' is at {tuple(where[number].tolist())}, outside the "
                    f"domain [{low:g}, {high:g}] along axis {axis}; remove it"
                )
            nearest[:, axis] = np.abs(np.asarray(grid) - where[:, axis, None]).argmin(axis=1)
        fields = torch.zeros(1, len(names), *task.shape)
        mask = torch.zeros(fields.shape, dtype=torch.bool)
        place = (0, names.index(channel), *torch.from_numpy(nearest).T)
        count = torch.zeros(task.shape).index_put(place[2:], torch.ones(len(what)), accumulate=True)
        total = torch.zeros(task.shape).index_put(place[2:], torch.from_numpy(what).float(), accumulate=True)
        fields[place[:2]] = total / count.clamp(min=1)  # several in one cell: their mean
        mask[place[:2]] = count > 0
        return cls.of_fields(fields, mask, noise)

    def joined(self, other: Observations) -> Observations:
        """These observations, and others of the same samples where these have none.

        A channel that both observe has the larger noise of the two.
        """
        return Observations(
            torch.where(self.mask, self.values, other.values),
            self.mask | other.mask,
            torch.maximum(self.noise, other.noise),
        )

    def to(self, device: torch.device | str) -> Observations:
        """The observations on another device."""
        return Observations(self.values.to(device), self.mask.to(device), self.noise.to(device))

    def check(self, task: TaskInfo) -> None:
        """Check that these are observations of a task, on its grid.

        Raises:
            UPSError: they are on another grid, of different numbers of samples, there are none in a sample,
                a value or the noise is not a finite number, or the mask is not bool.
        """
        _check_bool(self.mask)
        wanted = (len(joint_channels(task)), *task.shape)
        for name, part in (("values", self.values), ("mask", self.mask)):
            if tuple(part.shape[1:]) != wanted:
                raise UPSError(
                    f"the {name} of the observations are {tuple(part.shape[1:])}, but channels and points of "
                    f"task '{task.name}' are {wanted}"
                )
        sizes = len(self.values), len(self.mask), len(self.noise)
        if len(set(sizes)) > 1 or self.noise.shape[1:] != wanted[:1]:
            raise UPSError(
                f"the observations have values, masks and noise {tuple(self.noise.shape)} of "
                f"{sizes[0]}, {sizes[1]} and {sizes[2]} samples; give noise ({sizes[0]}, {wanted[0]})"
            )
        empty = ~self.mask.flatten(1).any(dim=1)
        if empty.any():
            raise UPSError(f"sample {int(empty.int().argmax())} has no observation; give at least one point")
        for row, channel in enumerate(joint_channels(task)):
            seen = self.values[:, row][self.mask[:, row]]
            _check_finite(channel.name, seen.double().cpu().numpy())
        wrong = ~(torch.isfinite(self.noise) & (self.noise >= 0))
        if wrong.any():
            raise UPSError(
                f"the noise of observations is {self.noise[wrong][0].item():g}, not a finite number "
                "from 0 on; give its standard deviation in units of the channel's"
            )


def _check_bool(mask: Tensor) -> None:
    if mask.dtype is not torch.bool:
        raise UPSError(f"the mask of the observations is of {mask.dtype}; give torch.bool")


def _check_finite(channel: str, rows: np.ndarray[Any, np.dtype[np.float64]], where: str = "") -> None:
    bad = ~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
    if bad.any():
        number = int(np.argmax(bad))
        raise UPSError(
            f"observation {number} of '{channel}' is {where}{rows[number].tolist()}, not a finite number; "
            "remove it"
        )


def joint_channels(task: TaskInfo) -> tuple[Channel, ...]:
    """Channels of a joint field: coefficients, then solutions."""
    return task.static_channels + task.target_channels


def joint_fields(batch: FieldBatch) -> Tensor:
    """Coefficients and solutions of a batch `(B, J, *S)` in physical units."""
    return torch.cat([batch.static, batch.target[:, 0]], dim=1)
