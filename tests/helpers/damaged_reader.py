"""Reads damaged copies of a data file in a process of its own, which HDF5 may crash.

`python damaged_reader.py FOLDER contiguous|chunked` prints the size of the sound file, then answers every line of
standard input, `{"cut": bytes, "changes": [[offset, hexadecimal], ...]}`, with one line:
`{"outcome": "same" | "other" | "refused" | "bug", "line": message}`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ups_core import UPSError
from ups_core.console import Console
from ups_data.cli.inspection import inspect_file
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task

FILE = Path("1D/Advection/Train/1D_Advection_Sols_beta0.4.hdf5")
MEMORY = 4 << 30
SECONDS = 60
SHAPE = (12, 3, 16)


class DamagedReader:
    """The process, started again when a file has killed it."""

    def __init__(self, folder: Path, layout: str) -> None:
        self.command = [sys.executable, __file__, str(folder), layout]
        self.size = self._start()

    def _start(self) -> int:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def read(self, changes: Sequence[tuple[int, bytes]] = (), cut: int | None = None) -> tuple[str, str]:
        """What reading a damaged copy gives: outcome and message."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"cut": cut, "changes": [[offset, new.hex()] for offset, new in changes]}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            code = self.process.wait()
            self._start()
            return "bug", f"the process ended with {code}"
        found = json.loads(answer)
        return found["outcome"], found["line"]

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def main(folder: Path, layout: str) -> None:
    """Answer every line of standard input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    task = create_task(
        "advection1d",
        {"beta": [0.4], "trajectories": 12, "frames": 3, "resolution": 16, "source": "official"},
    )
    info = task.describe(folder)
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["beta"] = 0.4
        file["x-coordinate"] = np.asarray(info.axes[0], "f4")
        file["t-coordinate"] = np.asarray([info.dt * frame for frame in range(4)], "f4")
        chunks = {"chunks": (4, 3, 16), "compression": "gzip"} if layout == "chunked" else {}
        file.create_dataset("tensor", data=values, **chunks)
    sound = path.read_bytes()
    print(len(sound), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        content = bytearray(sound)
        for offset, new in asked["changes"]:
            content[offset : offset + len(new) // 2] = bytes.fromhex(new)
        path.write_bytes(content[: asked["cut"]])
        shutil.rmtree(folder / "audits", ignore_errors=True)
        signal.alarm(SECONDS)  # ends the process, also within HDF5
        outcome, message = answer(task, folder, values)
        signal.alarm(0)
        print(json.dumps({"outcome": outcome, "line": message}), flush=True)


def answer(task: Task, folder: Path, values: Any) -> tuple[str, str]:
    """Plan, prepare, read and inspect the file."""
    path = folder / FILE
    try:
        task.prepare_data(folder, Console(quiet=True))
        rows, starts = np.array([0, 11]), np.array([0, 1])
        found = task.stores(task.plan_data(folder), folder).train.frames(rows, starts, 2)[:, :, 0]
        inspect_file(path)
    except UPSError as error:
        return "refused", str(error)
    except Exception:  # whatever else comes through is what the test looks for
        return "bug", traceback.format_exc()
    if found.shape != (2, 2, 16) or not np.isfinite(found).all():
        return "bug", f"read {found}"
    return ("same" if np.array_equal(found, [values[0, :2], values[11, 1:]]) else "other"), ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
