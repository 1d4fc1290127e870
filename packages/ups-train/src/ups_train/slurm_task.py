"""What every task of a Slurm job does: say which rank it is as torchrun would, then run the step worker.

A module of its own, free of torch: submitit imports it on the node before the number of threads is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import submitit
from submitit.helpers import Checkpointable

from ups_core import worker

FIRST_PORT = 15000
PORTS = 15000
"""Ports that jobs meet at; below those that Linux hands out by itself."""


class SlurmTask(Checkpointable):
    """The step worker as one task; put back in the queue as it is, for a step continues by itself."""

    def __init__(self, arguments: Sequence[str], threads: int):
        self.arguments = list(arguments)
        self.threads = threads

    def __call__(self) -> None:
        """Run the worker; ends the process with its exit code where that is not 0."""
        (first, *_) = submitit.JobEnvironment().hostnames
        os.environ.update(torchrun_variables(os.environ, first))
        os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))
        code = worker.main(self.arguments)
        if code:
            sys.exit(code)


def torchrun_variables(slurm: Mapping[str, str], first_node: str) -> dict[str, str]:
    """What torchrun would set, from what Slurm did.

    With TORCHELASTIC_RUN_ID, Lightning takes the ranks from these variables and leaves Slurm alone.
    """
    job, tasks, nodes = (int(slurm[f"SLURM_{name}"]) for name in ("JOB_ID", "NTASKS", "JOB_NUM_NODES"))
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
