"""Windows of trajectories: the samples that batches consist of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.stores.pdebench_store import Fields, Integers


class Windows:
    """Windows of one split: `given` frames followed by `targets` frames, from every file and trajectory.

    Window i is in file i // (trajectories · starts); its start frame varies fastest.

    Args:
        info: the problem; its `history` is the number of given frames.
        fields: the data files.
        ids: trajectory numbers of the split.
        starts: number of start frames per trajectory, from frame 0.
        targets: number of frames to predict.

    Raises:
        UPSError: the task declares more parameters than its files give.
    """

    def __init__(self, info: TaskInfo, fields: Fields, ids: Sequence[int], starts: int, targets: int) -> None:
        self.info = info
        self.targets = targets
        self._fields = fields
        self._ids = np.asarray(ids, dtype=np.int64)
        self._starts = starts
        values = torch.tensor(fields.request.values, dtype=torch.float32)
        if len(info.parameters) > 1:
            raise UPSError(
                f"task '{info.name}' declares {len(info.parameters)} parameters, but its files give one; "
                "declare one or none"
            )
        self._params = values[:, None][:, : len(info.parameters)]
        grid = list(product(fields.request.axis, repeat=info.dim))
        self._coords = torch.tensor(grid, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._params) * len(self._ids) * self._starts

    def trajectory(self, index: int) -> int:
        """The trajectory number of a window."""
        return int(self._locate(np.asarray([index]))[1][0])

    def batch(self, indices: Sequence[int]) -> FieldBatch:
        """The windows `indices` as one batch; no collating is needed.

        Raises:
            IndexError: a window does not exist.
        """
        files, rows, starts = self._locate(np.asarray(indices, dtype=np.int64))
        given, count = self.info.history, len(rows)
        frames = self._fields.solutions(files, rows, starts, given + self.targets)
        # One array for given and target frames: the batch's tensors are views of it, nothing is copied again.
        fields = torch.from_numpy(frames[:, :, None])
        params = self._params[torch.from_numpy(files)]
        return FieldBatch(
            task=self.info.name,
            state=fields[:, :given],
            static=torch.from_numpy(self._fields.coefficients(files, rows)),
            params=params,
            params_mask=torch.ones_like(params, dtype=torch.bool),
            dt=torch.full((count,), self.info.dt),
            coords=self._coords,
            target=fields[:, given:],
            index=torch.from_numpy(rows),
        )

    def _locate(self, indices: Integers) -> tuple[Integers, Integers, Integers]:
        """File, trajectory number and start frame of each window."""
        outside = indices[(indices < 0) | (indices >= len(self))]
        if outside.size:
            raise IndexError(
                f"task '{self.info.name}' has {len(self)} windows; window {outside[0]} does not exist"
            )
        files, rest = np.divmod(indices, len(self._ids) * self._starts)
        positions, starts = np.divmod(rest, self._starts)
        return files, self._ids[positions], starts
