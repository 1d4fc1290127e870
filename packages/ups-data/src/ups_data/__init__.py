"""PDE tasks, PDEBench readers and generators, splits, statistics, samplers and batches.

Importing the package is cheap: what needs torch or numpy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ups_data.batch import FieldBatch
    from ups_data.dataset import TaskData, Windows, prepare_task
    from ups_data.loader import MultiTaskLoader
    from ups_data.sampler import MultiTaskBatchSampler
    from ups_data.splits import Splits
    from ups_data.statistics import ChannelStatistics, Statistics
    from ups_data.task import Channel, Parameter, Task, TaskInfo

_HOMES = {
    "Channel": "task",
    "ChannelStatistics": "statistics",
    "FieldBatch": "batch",
    "MultiTaskBatchSampler": "sampler",
    "MultiTaskLoader": "loader",
    "Parameter": "task",
    "Splits": "splits",
    "Statistics": "statistics",
    "Task": "task",
    "TaskData": "dataset",
    "TaskInfo": "task",
    "Windows": "dataset",
    "prepare_task": "dataset",
}

__all__ = [
    "Channel",
    "ChannelStatistics",
    "FieldBatch",
    "MultiTaskBatchSampler",
    "MultiTaskLoader",
    "Parameter",
    "Splits",
    "Statistics",
    "Task",
    "TaskData",
    "TaskInfo",
    "Windows",
    "prepare_task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ups_data' has no attribute '{name}'")
    return getattr(import_module(f"ups_data.{_HOMES[name]}"), name)
