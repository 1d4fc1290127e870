"""PDE tasks, PDEBench readers and generators, splits, statistics, samplers and batches.

Importing the package is cheap: what needs torch or numpy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.loader import MultiTaskLoader
    from ups_data.batches.sampler import MultiTaskBatchSampler
    from ups_data.batches.windows import Windows
    from ups_data.info import Channel, Parameter, TaskInfo
    from ups_data.prepare.opening import TaskData
    from ups_data.prepare.splits import Splits
    from ups_data.prepare.statistics import ChannelStatistics, Statistics
    from ups_data.tasks.base import Task
    from ups_data.tasks.create import create_task, prepare_task

_HOMES = {
    "Channel": "info",
    "ChannelStatistics": "prepare.statistics",
    "FieldBatch": "batches.batch",
    "MultiTaskBatchSampler": "batches.sampler",
    "MultiTaskLoader": "batches.loader",
    "Parameter": "info",
    "Splits": "prepare.splits",
    "Statistics": "prepare.statistics",
    "Task": "tasks.base",
    "TaskData": "prepare.opening",
    "TaskInfo": "info",
    "Windows": "batches.windows",
    "create_task": "tasks.create",
    "prepare_task": "tasks.create",
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
    "create_task",
    "prepare_task",
]


def __getattr__(name: str) -> Any:
    # Called for names that are not there yet (PEP 562): a planner that imports this package loads no torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'ups_data' has no attribute '{name}'")
    return getattr(import_module(f"ups_data.{_HOMES[name]}"), name)
