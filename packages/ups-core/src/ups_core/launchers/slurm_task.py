"""What every task of a Slurm job does: set the rank variables that torchrun would, then run the step worker.

Slurm sends SIGUSR2 before the time limit and SIGTERM before a preemption. The worker then stops with a
checkpoint as after any signal, and the first task puts the job back in the queue.

This module must not import torch: submitit imports it on the node before the number of threads is set.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import submitit

from ups_core import interrupts, worker
from ups_core.layout import partial_directory
from ups_core.worker_report import read_failure

FIRST_PORT = 15000
PORTS = 15000
"""Number of rendezvous ports; all lie below the ephemeral ports of Linux."""
TIME_IS_UP = 128 + signal.SIGUSR2
"""Exit code of a worker that was stopped by submitit's signal before the time limit."""
PATIENCE = 600.0
"""Seconds that a task waits for Slurm to end it once the job is going back to the queue."""


class SlurmTask:
    """The step worker as one task.

    Args:
        requeues: maximum number of times that the job may be put back in the queue.
    """

    def __init__(self, arguments: Sequence[str], threads: int, requeues: int) -> None:
        self.arguments = list(arguments)
        self.threads = threads
        self.requeues = requeues

    def __call__(self) -> None:
        """Run the worker; exit with its code where that is not 0."""
        (first, *_) = submitit.JobEnvironment().hostnames
        os.environ.update(torchrun_variables(os.environ, first))
        os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))
        interrupts.on_signal(signal.SIGUSR2)
        code = worker.main(self.arguments)
        stopped = code == TIME_IS_UP or (code == 128 + signal.SIGTERM and not self.another_failed())
        if stopped and requeue(code, self.requeues):
            time.sleep(PATIENCE)
        if code:
            sys.exit(code)

    def another_failed(self) -> bool:
        """Whether another task reported a failure: srun then sends SIGTERM to all, as before a preemption."""
        run_directory, step, *_ = self.arguments
        reported = read_failure(partial_directory(Path(run_directory), step))
        return reported is not None and reported.stopped is None


def requeue(code: int, max_requeues: int) -> bool:
    """Put this job back in the queue if it ran out of time or was preempted; the first task decides.

    Args:
        code: exit code of the worker.
        max_requeues: maximum number of times.

    Returns:
        whether to wait for Slurm to end this task.
    """
    job, restarts = os.environ["SLURM_JOB_ID"], int(os.environ.get("SLURM_RESTART_COUNT", 0))
    if os.environ["RANK"] != "0":
        return True
    if restarts >= max_requeues:
        return False
    if code != TIME_IS_UP:  # SIGTERM: a preempted job is still RUNNING for squeue, a cancelled one is not
        command = ["squeue", "--noheader", "--format=%T", f"--jobs={job}"]
        state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if state != "RUNNING":
            return False
    return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0


def torchrun_variables(slurm: Mapping[str, str], first_node: str) -> dict[str, str]:
    """The environment variables that torchrun would set, from those of Slurm."""
    job, tasks, nodes = (int(slurm[f"SLURM_{name}"]) for name in ("JOB_ID", "NTASKS", "JOB_NUM_NODES"))
    # TORCHELASTIC_RUN_ID makes Lightning take the ranks from these variables, as under torchrun; it would
    # otherwise detect Slurm and install a requeueing of its own.
    return {
        "RANK": slurm["SLURM_PROCID"],
        "WORLD_SIZE": str(tasks),
        "LOCAL_RANK": slurm["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": str(tasks // nodes),
        "GROUP_RANK": slurm["SLURM_NODEID"],
        "MASTER_ADDR": "127.0.0.1" if nodes == 1 else first_node,
        "MASTER_PORT": str(FIRST_PORT + job % PORTS),
        "TORCHELASTIC_RUN_ID": str(job),
        "TORCHELASTIC_RESTART_COUNT": slurm.get("SLURM_RESTART_COUNT", "0"),
    }
