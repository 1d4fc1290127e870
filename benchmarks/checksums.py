"""What checksums cost: the time in all of them over the time of a run.

Runs a spec through `ups-run` in this process, in an empty folder, and times every call that computes or
compares a checksum: of files, records, data files, checkpoints, bundles and pages.

    python benchmarks/checksums.py                            # the main job, six minutes
    python benchmarks/checksums.py --spec specs/smoke.yaml    # half a minute
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ups_core import sealed, sums
from ups_core.cli.run import main as ups_run
from ups_data.stores import checksums
from ups_eval import page_seal
from ups_train.engine import checkpoint_files

ROOT = Path(__file__).parent.parent
TIMED = (
    (sums, "sum_of"),
    (checksums, "sum_of"),
    (checkpoint_files, "sum_of"),
    (sums, "check_size"),
    (sealed, "digest"),
    (checksums, "sampled_sum"),
    (page_seal, "sha256"),
)
"""Everything that hashes, in the modules that call it."""


class Clock:
    """Seconds in timed calls; a timed call within another one counts once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inside = False

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, begin = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
                self.calls[name] = self.calls.get(name, 0) + 1

        return timed


@contextlib.contextmanager
def timed(clock: Clock) -> Iterator[None]:
    """Time the calls of :data:`TIMED`, and hashes of checkpoints in memory."""
    with contextlib.ExitStack() as patches:
        for module, name in TIMED:
            place = f"{module.__name__}.{name}"
            patches.enter_context(mock.patch.object(module, name, clock.around(place, getattr(module, name))))
        hashing = mock.Mock(sha256=clock.around("checkpoints in memory", hashlib.sha256))
        patches.enter_context(mock.patch.object(checkpoint_files, "hashlib", hashing))
        yield


def measure(spec: Path, overrides: list[str]) -> dict[str, Any]:
    """Run the spec; the seconds of the run and of its checksums."""
    clock, here = Clock(), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            begin = time.perf_counter()
            with timed(clock), contextlib.redirect_stderr(io.StringIO()):
                words = [word for value in overrides for word in ("--set", value)]
                code = ups_run([str(spec), *words])
            seconds = time.perf_counter() - begin
            size = sum(path.stat().st_size for path in Path().rglob("*") if path.is_file())
        finally:
            os.chdir(here)
    assert code == 0, f"the run ended with {code}"
    total = sum(clock.seconds.values())
    return {
        "spec": spec.name,
        "run_seconds": round(seconds, 2),
        "checksum_seconds": round(total, 3),
        "share": round(total / seconds, 5),
        "written_mb": round(size / 1e6, 1),
        "seconds": {name: round(value, 4) for name, value in sorted(clock.seconds.items())},
        "calls": dict(sorted(clock.calls.items())),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spec", type=Path, default=ROOT / "specs" / "pdebench_2task.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value")
    args = parser.parse_args(arguments)
    found = measure(args.spec.resolve(), args.set)
    print(json.dumps(found, indent=2))
    print(f"checksums: {found['checksum_seconds']} of {found['run_seconds']} s, {100 * found['share']:.2f} %")


if __name__ == "__main__":
    main()
