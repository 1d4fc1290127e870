"""Tiles of a grid, so that grids are trained that do not fit in memory with their gradients.

Tiles partition the grid, and periodic axes start anywhere. So every cell is in a drawn tile with the same
probability, and a loss that is a mean over cells has the loss of the complete field as its expectation, as
far as the halo is as wide as the network sees.
"""

from __future__ import annotations

import random

from ups_data.info import TaskInfo
from ups_models.grid_part import GridPart
from ups_train.stages.operator_config import TilesConfig


def draw_tile(task: TaskInfo, config: TilesConfig, step: int, progress: float, seed: int) -> GridPart:
    """A random tile.

    Args:
        task: the problem, with its grid.
        config: size, halo and curriculum.
        step: cells that the starts of tiles are multiples of.
        progress: of the training, from 0 to 1.
        seed: of the step, the same on all ranks.
    """
    cells = config.cells_at(progress)
    draw = random.Random(seed)
    starts = []
    for count, wraps in zip(task.shape, task.periodic, strict=True):
        start = cells * draw.randrange(count // cells)
        if wraps:
            start += step * draw.randrange(count // step)
        starts.append(start % count)
    return GridPart.of_grid(task.shape, task.periodic, starts, cells, config.halo)
