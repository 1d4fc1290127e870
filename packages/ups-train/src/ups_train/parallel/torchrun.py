"""The launcher `torchrun`: how a step's processes are started on this machine."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import uuid

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ups_core.console import Console
from ups_core.cpus import available_cores
from ups_core.execution import execute
from ups_core.interrupts import Interrupted
from ups_core.launcher import IN_PROCESS
from ups_core.launchers.worker_attempts import Ended, run_attempts, worker_module
from ups_core.plan import Plan, PlannedStep
from ups_core.step import StepResult
from ups_train.parallel.config import TorchrunConfig


class Torchrun:
    """A process for every device of this machine, under torch elastic.

    When a process fails, all are started again, at most `restarts` times; training resumes from its last
    checkpoint. Restarts after running out of memory do not count; their number is limited by the batch size
    (:mod:`ups_train.engine.out_of_memory`).
    """

    def __init__(self, config: TorchrunConfig) -> None:
        self.config = config

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """The command that would do the same."""
        if _in_process(plan, step):
            return IN_PROCESS
        worker = worker_module(plan.directory, step.id, plan.data_root)
        options = ["--standalone", f"--nproc-per-node={plan.spec.trainer.devices}"]
        return shlex.join(["torchrun", *options, f"--max-restarts={self.config.restarts}", *worker])

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        """Execute the step; returns its result.

        Raises:
            UPSError: a process failed more often than it may.
            Interrupted: the processes stopped because they were asked to.
        """
        if _in_process(plan, step):
            return execute(plan, step, console)
        devices = plan.spec.trainer.devices
        os.environ.setdefault(
            "OMP_NUM_THREADS", str(plan.spec.trainer.threads or available_cores() // devices or 1)
        )
        # A shared store keeps the addresses of processes that are gone: restarted ones would call them.
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        command = worker_module(plan.directory, step.id, plan.data_root)

        def attempt() -> Ended | None:
            try:
                with tempfile.TemporaryDirectory() as logs:
                    elastic_launch(self._launch_config(devices, logs), sys.executable)(*command)
            except SignalException as stop:
                raise Interrupted(128 + stop.sigval) from None
            except ChildFailedError as error:
                rank, failure = error.get_first_failure()
                return Ended(f"ended with code {failure.exitcode}; its output is above", rank)
            return None

        return run_attempts(plan, step, console, attempt)

    def _launch_config(self, devices: int, logs: str) -> LaunchConfig:
        """One machine; processes find each other over the loop-back interface."""
        return LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=devices,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=self.config.restarts,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            monitor_interval=0.2,
        )


def _in_process(plan: Plan, step: PlannedStep) -> bool:
    return plan.spec.trainer.devices == 1 or not step.spec.config.distributed
