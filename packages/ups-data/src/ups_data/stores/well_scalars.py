"""The numbers of a file of The Well that are not fields: simulation parameters and scalars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ups_data.stores.layout import Points
from ups_data.stores.well_items import WellItems


class Scalars(NamedTuple):
    """Numbers of the trajectories of a file.

    Attributes:
        constant: finite numbers that do not vary in time: name -> a value for every trajectory `(n,)`.
        varying: names of the scalars that vary in time, which models cannot get.
        simulation: those of `constant` that are simulation parameters.
    """

    constant: dict[str, Points]
    varying: tuple[str, ...]
    simulation: tuple[str, ...]


def read_scalars(file: WellItems, trajectories: int) -> Scalars:
    """The attributes that `simulation_parameters` lists, and the group `scalars`, which is preferred.

    Raises:
        UPSError: a scalar has a shape that its flags do not allow.
    """
    root, group = file.file, file.group("scalars")
    listed = file.texts(root, "simulation_parameters") if "simulation_parameters" in root.attrs else []
    numbers = file.attributes()
    constant = {name: np.full(trajectories, numbers[name]) for name in listed if name in numbers}
    varying = []
    for name in file.names(group):
        dataset = file.dataset(name, group)
        if file.flag(dataset, "time_varying"):
            varying.append(name)
            continue
        by_sample = file.flag(dataset, "sample_varying")
        lead = (trajectories,) if by_sample else ()
        if dataset.shape not in (lead, (*lead, 1)):
            raise file.error(
                f"'scalars/{name}' has shape {dataset.shape}, but its flags (sample_varying {by_sample}, "
                f"time_varying False) mean {lead} or {(*lead, 1)}"
            )
        if dataset.dtype.kind in "biuf":
            values = np.asarray(dataset[()], dtype=np.float64).reshape(-1)
            constant[name] = np.broadcast_to(values, trajectories).copy()
    finite = {name: values for name, values in constant.items() if np.isfinite(values).all()}
    return Scalars(finite, tuple(varying), tuple(name for name in listed if name in finite))
