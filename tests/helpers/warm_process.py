"""Commands in processes of their own that have imported torch and Lightning already.

Importing them takes six seconds, which is most of the time of a short command. A server process imports them
once and forks a child per command. The child runs the installed script with its own arguments, folder,
environment and output, and ends with its exit code.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["ups_core.cli.main", "ups_core.cli.run", "ups_train.engine.stage", "ups_eval.rollout_step"]
)
"""Modules without state: plugins are loaded by each command itself."""


def run_warm(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a Python script, the first of the arguments, as `subprocess.run` would; no standard input."""
    with tempfile.TemporaryDirectory() as scratch:
        streams = [Path(scratch) / name for name in ("stdout", "stderr")]
        child = SERVER.Process(target=_child, args=(arguments, folder, dict(environment), streams))
        child.start()
        child.join(timeout)
        if child.exitcode is None:
            child.kill()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        out, err = (path.read_text(encoding="utf-8") for path in streams)
    return subprocess.CompletedProcess(list(arguments), child.exitcode, out, err)


def _child(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[Path]
) -> None:
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = list(arguments)
    importlib.invalidate_caches()
    runpy.run_path(arguments[0], run_name="__main__")
