"""Commands let waiting threads of torch give up their core, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU's OpenMP on Linux alone")

RUN = "import sys; from ups_core.cli.run import main; sys.argv[1:] = ['no_such_spec.yaml']; main(); import torch"
UPS = "from ups_core.cli.main import main; main(['list', 'optimizers']); import torch"
WORKER = """
from ups_core.worker import main
main(['no_such_run', 'step', '--data-root', 'data'])
import torch
"""


def spin_count(code: str, **environment: str) -> str:
    """What torch's OpenMP library says that it uses."""
    clean = {
        name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"OMP_DISPLAY_ENV": "VERBOSE"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    for line in done.stderr.splitlines():
        if "GOMP_SPINCOUNT" in line:
            return line.split("'")[1]
    raise AssertionError(f"torch's OpenMP library does not say how long it spins:\n{done.stderr}")


@pytest.mark.parametrize("code", [RUN, UPS, WORKER])
def test_torch_spins_for_a_short_time(code: str) -> None:
    assert spin_count(code) == "1000"


def test_the_environment_has_the_last_word() -> None:
    assert spin_count(UPS, GOMP_SPINCOUNT="77") == "77"
    assert spin_count(UPS, OMP_WAIT_POLICY="PASSIVE") == "0"
