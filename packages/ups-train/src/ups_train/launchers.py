"""Launchers: how a step's processes are started."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Mapping

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ups_core import UPSError
from ups_core.console import Console
from ups_core.cores import available_cores
from ups_core.files import read_json
from ups_core.plan import Plan, PlannedStep, partial_directory
from ups_core.worker import FAILURE, RESULT, execute
from ups_train.memory import parts_of
from ups_train.options import TorchrunConfig


class Torchrun:
    """A process for every device of this machine, under torch elastic.

    When a process fails, all are started again, at most `restarts` times; a training continues from its last
    checkpoint. Running out of memory does not count: it comes to an end by itself (:mod:`ups_train.memory`).
    """

    def __init__(self, config: TorchrunConfig):
        self.config = config

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> Mapping[str, float]:
        """Execute the step; returns its metrics.

        Raises:
            UPSError: a process failed more often than it may.
        """
        devices = plan.spec.trainer.devices
        if devices == 1 or not step.spec.config.distributed:
            return execute(plan, step, console)
        directory = partial_directory(plan.directory, step.id)
        os.environ.setdefault(
            "OMP_NUM_THREADS", str(plan.spec.trainer.threads or available_cores() // devices or 1)
        )
        # A shared store keeps the addresses of processes that are gone: restarted ones would call them.
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        command = "-m", "ups_core.worker", str(plan.directory), step.id, "--data-root", str(plan.data_root)
        while True:
            parts = parts_of(directory)
            (directory / FAILURE).unlink(missing_ok=True)
            try:
                with tempfile.TemporaryDirectory() as logs:
                    elastic_launch(self._launch_config(devices, logs), sys.executable)(*command)
                break
            except ChildFailedError as error:
                rank, failure = error.get_first_failure()
                told = read_json(directory / FAILURE) or {}
                message = told.get("message", f"ended with code {failure.exitcode}; its lines are above")
                if parts_of(directory) == parts:
                    raise UPSError(f"rank {told.get('rank', rank)} of {devices}: {message}") from None
                console.say(f"  {message}")
        metrics = {key: float(value) for key, value in read_json(directory / RESULT).items()}
        (directory / RESULT).unlink()  # the runner keeps them
        for log in directory.glob("error-rank*.log"):  # of attempts before the one that succeeded
            log.unlink()
        return metrics

    def _launch_config(self, devices: int, logs: str) -> LaunchConfig:
        """One machine; processes find each other over the loop-back interface."""
        return LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=devices, run_id=uuid.uuid4().hex, rdzv_backend="c10d",
            rdzv_endpoint="localhost:0", local_addr="127.0.0.1", max_restarts=self.config.restarts,
            logs_specs=DefaultLogsSpecs(log_dir=logs), monitor_interval=0.2,
        )  # fmt: skip
