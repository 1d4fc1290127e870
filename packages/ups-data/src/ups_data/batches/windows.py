"""Windows of trajectories: the samples that batches consist of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from ups_data.batches.batch import FieldBatch
from ups_data.stores.base import Integers, TrajectoryStore


class Windows:
    """Windows of one split: `given` frames followed by `targets` frames, from every trajectory.

    Windows are in the order of the trajectories; the start frame varies fastest.

    Args:
        store: the data; the `history` of its problem is the number of given frames.
        groups: groups of trajectories in the split.
        starts: number of start frames per trajectory, from frame 0.
        targets: number of frames to predict.
    """

    def __init__(self, store: TrajectoryStore, groups: Sequence[int], starts: int, targets: int) -> None:
        info = self.info = store.info
        self.targets = targets
        self._store = store
        self._trajectories = np.flatnonzero(np.isin(store.groups, groups))
        self._starts = starts
        self._params = torch.tensor(store.parameters, dtype=torch.float32)
        self._coords = torch.tensor(list(product(*info.axes)), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._trajectories) * self._starts

    def trajectory(self, index: int) -> int:
        """The group of a window's trajectory."""
        return int(self._store.groups[self._locate(np.asarray([index]))[0][0]])

    def batch(self, indices: Sequence[int]) -> FieldBatch:
        """The windows `indices` as one batch; no collating is needed.

        Raises:
            IndexError: a window does not exist.
        """
        trajectories, starts = self._locate(np.asarray(indices, dtype=np.int64))
        given, count = self.info.history, len(trajectories)
        # One array for given and target frames: the batch's tensors are views of it, nothing is copied again.
        frames = torch.from_numpy(self._store.frames(trajectories, starts, given + self.targets))
        channels = len(self.info.target_channels)
        fields = frames[:, :, :channels]
        params = self._params[torch.from_numpy(trajectories)]
        return FieldBatch(
            task=self.info.name,
            state=fields[:, :given],
            static=torch.from_numpy(self._store.static(trajectories)),
            params=params,
            params_mask=torch.ones_like(params, dtype=torch.bool),
            dt=torch.full((count,), self.info.dt),
            coords=self._coords,
            target=fields[:, given:],
            index=torch.from_numpy(self._store.groups[trajectories]),
            forcing=frames[:, :, channels:] if self.info.forcing_channels else None,
        )

    def _locate(self, indices: Integers) -> tuple[Integers, Integers]:
        """Trajectory and start frame of each window."""
        outside = indices[(indices < 0) | (indices >= len(self))]
        if outside.size:
            raise IndexError(
                f"task '{self.info.name}' has {len(self)} windows; window {outside[0]} does not exist"
            )
        positions, starts = np.divmod(indices, self._starts)
        return self._trajectories[positions], starts
