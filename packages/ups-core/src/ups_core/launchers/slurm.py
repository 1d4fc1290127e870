"""The launcher `slurm`: a step as a job with one task per device.

submitit writes the batch script; the job puts itself back in the queue
(:mod:`ups_core.launchers.slurm_task`). The state comes from squeue only, because many clusters keep no
accounting data, which submitit would query.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.execution import execute
from ups_core.files import write_json, write_text
from ups_core.launcher import IN_PROCESS
from ups_core.launchers import slurm_queue
from ups_core.launchers.config import SlurmConfig
from ups_core.launchers.worker_attempts import Ended, run_attempts, worker_module
from ups_core.layout import partial_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.step import StepResult
from ups_core.worker_report import FAILURE, RESULT

if TYPE_CHECKING:
    import submitit

POLL = 2.0
"""Seconds between two queries of the job's state."""
ENDING = 60.0
"""Seconds to wait for the end of a cancelled job; Slurm kills it 30 s after the first signal."""
SETTLE = 10.0
"""Seconds that a shared file system may take to show what a node wrote."""


class Slurm:
    """Submits the step worker, waits for it, and cancels the job when the run is stopped."""

    def __init__(self, config: SlurmConfig) -> None:
        self.config = config

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """The batch script, without what submitit adds for itself."""
        if not step.spec.config.distributed:
            return IN_PROCESS
        options = self._options(plan, step)
        further, setup, srun = (options.pop(key) for key in ("additional_parameters", "setup", "srun_args"))
        options = {key: value for key, value in options.items() if key != "stderr_to_stdout"} | further
        lines = [
            f"#SBATCH --{key.replace('_', '-')}" + ("" if value is True else f"={shlex.quote(str(value))}")
            for key, value in options.items()
        ]
        worker = worker_module(plan.directory.resolve(), step.id, plan.data_root.resolve())
        return "\n".join([*lines, *setup, f"srun {' '.join(srun)} python {' '.join(worker)}"])

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        """Execute the step as a job; returns its result.

        A job that an earlier, killed `ups-run` left in the queue is waited for instead of submitting another.

        Raises:
            UPSError: submitit or Slurm is not installed, or the job failed.
        """
        if not step.spec.config.distributed:
            return execute(plan, step, console)
        if importlib.util.find_spec("submitit") is None:
            raise UPSError("the launcher 'slurm' needs submitit: pip install 'ups-core[slurm]'")
        if shutil.which("sbatch") is None:
            raise UPSError("the launcher 'slurm' needs the command sbatch on PATH; run on a login node")
        directory = partial_directory(plan.directory, step.id)
        folder = (plan.directory / "slurm" / step.id).resolve()

        def attempt() -> Ended | None:
            job = slurm_queue.left_behind(folder, step) or self._submit(plan, step, folder, console)
            return _wait(job, directory, folder, console)

        return run_attempts(plan, step, console, attempt)

    def _submit(self, plan: Plan, step: PlannedStep, folder: Path, console: Console) -> str:
        import submitit  # an extra; and slurm_task imports it at the top

        from ups_core.launchers.slurm_task import SlurmTask

        executor = submitit.SlurmExecutor(folder)
        executor.update_parameters(**self._options(plan, step))
        arguments = worker_module(plan.directory.resolve(), step.id, plan.data_root.resolve())[2:]
        task = SlurmTask(
            arguments, plan.spec.trainer.threads or self.config.cpus_per_task, self.config.requeues
        )
        mask = os.umask(0o077)  # until its references are back, the script is nobody else's to read
        try:
            job: submitit.Job[None] = executor.submit(task)
        except submitit.core.utils.FailedJobError as error:
            raise UPSError(f"sbatch refused the job: {_last_line(str(error))}") from None
        finally:
            os.umask(mask)
            for script in folder.glob("*submission*.sh"):  # Slurm has a copy of its own
                write_text(script, plan.document.redacted(script.read_text()))
        write_json(folder / slurm_queue.JOB, {"job": job.job_id, "fingerprint": step.fingerprint})
        console.say(f"  job {job.job_id}: submitted; its output goes to {_log(folder, job.job_id)}")
        return str(job.job_id)

    def _options(self, plan: Plan, step: PlannedStep) -> dict[str, Any]:
        """What submitit gets: sbatch's long options with `_` for `-`."""
        config, trainer = self.config, plan.spec.trainer
        per_node = config.gpus_per_node or trainer.devices
        if trainer.devices % per_node:
            raise UPSError(
                f"{trainer.devices} devices do not fill nodes of {per_node}; "
                "set launcher.gpus_per_node to a divisor"
            )
        further = {key.replace("-", "_"): value for key, value in config.parameters.items()}
        options: dict[str, Any] = {
            "job_name": f"{plan.spec.name}-{step.id}",
            "nodes": trainer.devices // per_node,
            "ntasks_per_node": per_node,
            "cpus_per_task": config.cpus_per_task,
            "time": config.minutes,
            "partition": config.partition,
            "account": config.account,
            "mem": None if config.memory_gb is None else f"{config.memory_gb}GB",
            "gpus_per_node": per_node if config.gpus_per_node or trainer.accelerator == "gpu" else None,
            "stderr_to_stdout": True,
            "setup": config.setup,
            "additional_parameters": {"requeue": True} | further,
            "srun_args": ["--kill-on-bad-exit=1", f"--cpus-per-task={config.cpus_per_task}"],
        }
        return {key: value for key, value in options.items() if value is not None}


def _wait(job: str, directory: Path, folder: Path, console: Console) -> Ended | None:
    """Wait for the end of the job; cancel it when the wait is interrupted."""
    last, state = None, "PENDING"
    try:
        while state not in slurm_queue.OVER:
            state = slurm_queue.state(job)
            if state != last and state:
                console.say(f"  job {job}: {state.lower()}")
            last = state
            time.sleep(POLL)
    except BaseException:
        subprocess.run(["scancel", job], check=False)
        console.say(f"  job {job}: cancelled; waiting for its last checkpoint")
        deadline = time.monotonic() + ENDING
        while slurm_queue.state(job) not in slurm_queue.OVER and time.monotonic() < deadline:
            time.sleep(POLL)
        raise
    # The job is over, but over NFS its files may appear here some seconds later.
    deadline = time.monotonic() + SETTLE
    while time.monotonic() < deadline:
        if (directory / RESULT).exists():
            return None
        if (directory / FAILURE).exists():
            break
        time.sleep(0.5)
    return Ended(f"job {job} ended without a result; its output is in {_log(folder, job)}")


def _log(folder: Path, job: str) -> Path:
    """Where the output of rank 0 goes."""
    return folder / f"{job}_0_log.out"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
