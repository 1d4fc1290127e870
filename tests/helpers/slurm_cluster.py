"""A Slurm cluster of this machine alone, for tests: the real daemons, from a scratch folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmctldPort={port}
SlurmdPort={second_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""`cred_expire` is also how long a job that was put back in the queue waits there."""


@contextmanager
def slurm_cluster(folder: Path, cpus: int = 2) -> Iterator[dict[str, str]]:
    """Start munge and Slurm; yields what has to be in the environment of Slurm's commands."""
    _install()
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    port, second_port = _free_ports()
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, cpus=cpus, port=port, second_port=second_port)
    )
    environment = {"SLURM_CONF": str(configuration)}
    munge = _start_munge(folder)
    try:
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run([_program(daemon)], env=os.environ | environment, check=True)
        _until_idle(environment, folder)
        yield environment
    finally:
        for name in ("slurmd", "slurmctld"):
            _stop(folder / f"{name}.pid")
        if munge is not None:
            munge.terminate()
            munge.wait(10)


def _install() -> None:
    if all(_program(name) for name in ("slurmctld", "slurmd", "munged")):
        if os.geteuid():
            pytest.skip("Slurm's daemons have to be started as root")
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        pytest.skip("Slurm is not installed: apt-get install slurm-wlm munge, as root")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--quiet", "slurm-wlm", "munge"]):
        result = subprocess.run(
            ["apt-get", *command], env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            lines = result.stderr.strip().splitlines() or ["no reason given"]
            pytest.skip(f"Slurm cannot be installed: {lines[-1]}")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _start_munge(folder: Path) -> subprocess.Popen[bytes] | None:
    """Munge's own folders must be its user's; a daemon that runs already is left alone."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return None
    user = pwd.getpwnam("munge")
    for place in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(place).mkdir(parents=True, exist_ok=True)
        os.chown(place, user.pw_uid, user.pw_gid)
    Path("/run/munge").chmod(0o755)
    with (folder / "munged.log").open("wb") as log:
        process = subprocess.Popen(
            [_program("munged"), "--foreground", "--force"],
            user="munge",
            group="munge",
            extra_groups=[],
            stdout=log,
            stderr=log,
        )
    _until(lambda: subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0, folder)
    return process


def _until_idle(environment: dict[str, str], folder: Path) -> None:
    def idle() -> bool:
        command = ["sinfo", "--noheader", "--format=%T"]
        result = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        return result.stdout.strip() == "idle"

    _until(idle, folder)


def _until(reached: Callable[[], bool], folder: Path, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            logs = {path.name: path.read_text()[-2000:] for path in folder.glob("*.log")}
            raise TimeoutError(f"the cluster did not start: {logs}")
        time.sleep(0.2)


def _stop(file: Path) -> None:
    """End the daemon that wrote this file."""
    try:
        number = int(file.read_text())
        os.kill(number, signal.SIGTERM)
    except (OSError, ValueError):
        return
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
