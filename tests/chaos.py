"""Kill a pipeline of two tasks and several steps repeatedly at random moments, and compare the results.

    python tests/chaos.py                # 30 kills; takes some minutes
    python tests/chaos.py --kills 3 --seed 7

An uninterrupted run comes first. Then the same command is started and killed, with all its processes, after a
random time, until there were enough kills; if it ends before, it starts again in another folder. The last run
ends undisturbed. Every finished run must have the weights and metrics of the first one, bit for bit; otherwise
the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SPEC = HERE.parent / "specs" / "smoke.yaml"
CHANGES = [
    "trainer.threads=1",
    "pipeline.operator.epochs=4",
    "pipeline.operator.validate_every=7",
    "pipeline.operator.checkpoints.every=1.0",
    "pipeline.operator.accumulate=2",
    "trainer.workers=1",
]
"""Bits are guaranteed for one thread; frequent checkpoints let short lives make progress."""


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        begin = time.monotonic()
        assert _run(root / "uninterrupted", root / "data") == 0
        expected = _outcome(root / "uninterrupted")
        seconds = time.monotonic() - begin
        print(f"uninterrupted: {seconds:.0f} s, {expected}", flush=True)
        kills = attempt = resumes = 0
        while kills < args.kills:
            attempt += 1
            folder = root / f"run{attempt}"
            while True:
                resumes += (folder / "runs").exists()
                life = draw.uniform(0.0, min(seconds, args.longest)) if kills < args.kills else None
                code = _run(folder, root / "data", life)
                if code == 0:
                    break
                if code != -signal.SIGKILL:
                    print(f"run {attempt} ended by itself with code {code}", file=sys.stderr)
                    return 1
                kills += 1
            outcome = _outcome(folder)
            print(f"run {attempt}: {kills} kills so far, {outcome}", flush=True)
            if outcome != expected:
                return 1
    print(
        f"{kills} kills, {resumes} resumes, {attempt} finished runs; all as the uninterrupted one: {expected}"
    )
    return 0


def _run(folder: Path, data: Path, longest: float | None = None) -> int:
    """Start or go on, and kill after so many seconds; returns the exit code."""
    folder.mkdir(exist_ok=True)
    command = [str(Path(sys.executable).with_name("ups-run")), str(SPEC), "--data-root", str(data)]
    command += [word for change in CHANGES for word in ("--set", change)]
    with (folder / "output.txt").open("a") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            return process.wait(longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def _outcome(folder: Path) -> str:
    """A hash of all trained weights and of the run's metrics."""
    (run,) = (folder / "runs").iterdir()
    found = hashlib.sha256()
    for weights in sorted(run.glob("steps/*/model/weights.safetensors")):
        found.update(weights.read_bytes())
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "completed", record["status"]
    found.update(json.dumps(record["metrics"], sort_keys=True).encode())
    return f"sha256 {found.hexdigest()[:16]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, metavar="N", help="how many; 30")
    parser.add_argument("--longest", type=float, default=25.0, metavar="SECONDS", help="longest life; 25")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random moments; 0")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
