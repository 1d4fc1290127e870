"""Peak memory of `ups predict` for few and for many inputs: it must not grow with their number.

    python benchmarks/predict_memory.py MODEL [--inputs 10 1000 10000] [--steps 10] [--ending .h5 .npz]

MODEL is what `ups predict` takes; its first task must be an evolution of one channel with one given frame.
Every prediction is a process of its own; its peak is VmHWM of `/proc/self/status`, which Linux has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ups_models.bundle_config import read_bundle_config
from ups_models.prediction.expects import expects_of
from ups_models.prediction.models import find_model

CHILD = """
import sys
from ups_core.cli.main import main
code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def peak(arguments: list[str]) -> tuple[float, float]:
    """Peak memory in MB and seconds of one command."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024, time.perf_counter() - begin


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--inputs", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--ending", nargs="+", default=[".h5", ".npz", ".nc", ".zarr", ".npy"])
    args = parser.parse_args()
    expects = next(iter(expects_of(read_bundle_config(find_model(args.model))).values()))
    params = [f"--param={item.name}={expects.range_of(item)[0]}" for item in expects.task.parameters]
    print(f"{'output':8}{'inputs':>8}{'output MB':>12}{'peak MB':>10}{'seconds':>10}")
    for ending in args.ending:
        for count in args.inputs:
            with tempfile.TemporaryDirectory() as folder:
                source, out = Path(folder) / "input.npy", Path(folder) / f"out{ending}"
                fields = np.random.default_rng(0).normal(size=(count, *expects.task.shape))
                np.save(source, fields.astype(np.float32))
                options = ["-o", str(out), "--steps", str(args.steps), "--task", expects.task.name, *params]
                megabytes, seconds = peak(["predict", str(args.model), str(source), *options])
                size = 4e-6 * count * args.steps * int(np.prod(expects.task.shape))
            print(f"{ending:8}{count:>8}{size:>12.1f}{megabytes:>10.0f}{seconds:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
