"""Options of models that work on blocks of cells, and what such a model costs and sees; without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ups_data.info import TaskInfo
from ups_models.grids import cost_of_copies
from ups_models.per_dimension import PerDimensionConfig


class BlockModelConfig(PerDimensionConfig):
    """Options of a convolutional model, which states the size of its blocks and how far it sees."""

    see_further: ClassVar[str]
    """The options that make :meth:`cells_seen` larger, as advice."""

    def block_cells(self, dim: int) -> int:
        """Cells along an axis of one cell, or token, of the coarsest grid."""
        return 1

    def cells_seen(self, dim: int) -> int | None:
        """Cells along an axis that reach the cell in a corner, itself included; None if that is all cells."""
        return None

    def local(self, task: TaskInfo) -> bool:
        """See :class:`ups_core.ModelConfig`."""
        return self.cells_seen(task.dim) is not None

    def tile_cells(self, task: TaskInfo) -> int:
        """See :class:`ups_core.ModelConfig`."""
        return self.block_cells(task.dim)

    def advise(self, tasks: Mapping[str, TaskInfo]) -> Sequence[str]:
        """Grids that blocks do not divide, and steady problems of which a cell sees a part only."""
        return [
            f"task '{task.name}': {message}"
            for task in tasks.values()
            for message in (self._cost(task), self._blindness(task))
            if message
        ]

    def _cost(self, task: TaskInfo) -> str | None:
        block = self.block_cells(task.dim)
        copies = cost_of_copies(task.shape, block, task.periodic)
        if copies == 1:
            return None
        grid = "x".join(map(str, task.shape))
        return (
            f"{grid} cells need {copies} shifted copies, so a step costs {copies} times as much as on a grid "
            f"that blocks of {block} cells divide"
        )

    def _blindness(self, task: TaskInfo) -> str | None:
        """The solution of an elliptic problem in a cell depends on all cells."""
        seen, longest = self.cells_seen(task.dim), max(task.shape)
        if task.kind == "evolution" or seen is None:
            return None
        # On a circle no cell is further away than half of it.
        if seen >= (longest // 2 + 1 if all(task.periodic) else longest):
            return None
        return (
            f"a cell in a corner sees {seen} of {longest} cells along an axis, but a steady solution depends "
            f"on all of them; {self.see_further}"
        )
