"""The latent operator against neuraloperator's FNO on a user's own files, for equal training time.

Task and latent operator are those of a spec, as `ups data new --train TRAIN --test TEST -o SPEC` makes it.
Both models train for the same seconds of training steps on the same batches, both with the symmetries that
the spec declares. Learning rate (and the FNO's loss, relative L2 or the package's H1) are chosen on the
validation split by shorter runs; then several seeds train for the whole time, in turn. Errors are relative L2
norms, mean over the samples of the test file and of further ones, whose grid may be finer.

    make peers
    .venv-peers/bin/python benchmarks/own_files.py darcy.yaml --also test_32.pt
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ups_core.console import Console
from ups_data.tasks.create import create_task
from ups_eval.scoring import score
from ups_models.bundle import load_bundle

RATES = (1e-3, 2e-3, 4e-3, 8e-3)
BATCH = 16


@dataclass(frozen=True)
class Contender:
    """A model with its optimizer and the losses to choose from."""

    model: dict[str, Any]
    optimizer: str
    losses: tuple[str, ...]


def contenders(latent_operator: dict[str, Any]) -> dict[str, Contender]:
    """Both models by name; the latent operator with a spec's options."""
    return {
        "latent_operator": Contender(latent_operator, "muon_hybrid", ("relative_l2",)),
        "neuraloperator_fno": Contender(
            {"kind": "neuraloperator/fno", "hidden_channels_2d": 32, "modes_2d": 8},
            "adamw",
            ("relative_l2", "neuraloperator/h1"),
        ),
    }


def main() -> None:
    """Choose, train, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec", type=Path, help="a spec with one task")
    parser.add_argument("--also", nargs="*", default=[], metavar="FILE", help="further test files")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of a final run; default: 120")
    parser.add_argument(
        "--sweep", type=float, default=30.0, help="seconds of a run that chooses; default: 30"
    )
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="default: data")
    args = parser.parse_args()
    spec = yaml.safe_load(args.spec.read_text(encoding="utf-8"))
    name, task = next(iter(spec["tasks"].items()))
    args.contenders = contenders(spec["model"])
    chosen = {which: choose(which, name, task, args) for which in args.contenders}
    found: dict[str, list[dict[str, float]]] = {which: [] for which in args.contenders}
    for seed in range(args.seeds):
        for which in list(args.contenders)[:: -1 if seed % 2 else 1]:
            rate, loss = chosen[which]
            with run(which, name, task, args, seed, args.budget, rate, loss) as (_, bundle):
                found[which].append(dict(errors(bundle, name, task, args)))
            print(
                json.dumps({"model": which, "seed": seed, "lr": rate, "loss": loss, **found[which][-1]}),
                flush=True,
            )
    for file in found["latent_operator"][0]:
        means = {which: [errors[file] for errors in every] for which, every in found.items()}
        ours, theirs = (statistics.fmean(means[which]) for which in found)
        spread = {which: f"{min(values):.4f} to {max(values):.4f}" for which, values in means.items()}
        print(f"{file}: latent operator {ours:.4f}, FNO {theirs:.4f}, ratio {ours / theirs:.3f}  {spread}")


class run:
    """Train in a process of its own; gives the best validation error and the bundle."""

    def __init__(
        self, which: str, name: str, task: Any, args: Any, seed: int, budget: float, rate: float, loss: str
    ) -> None:
        contender = args.contenders[which]
        self.args = args
        self.spec = {
            "version": 1,
            "name": "own",
            "seed": seed,
            "tasks": {name: task},
            "model": contender.model,
            "trainer": {"accelerator": "cpu", "threads": args.threads},
            "pipeline": [
                {
                    "stage": "operator",
                    "budget": budget,
                    "batch_size": BATCH,
                    "optimizer": {"kind": contender.optimizer, "lr": rate},
                    "scheduler": {"kind": "cosine"},
                    "losses": [{"kind": loss}],
                }
            ],
        }

    def __enter__(self) -> tuple[float, Path]:
        self.scratch = tempfile.TemporaryDirectory()
        root = Path(self.scratch.name)
        (root / "own.yaml").write_text(yaml.safe_dump(self.spec, sort_keys=False), encoding="utf-8")
        command = [Path(sys.executable).with_name("ups-run"), root / "own.yaml", "--runs-dir", root]
        done = subprocess.run(
            [*map(str, command), "--data-root", str(self.args.data_root)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"ups-run ended with {done.returncode}:\n{done.stderr[-2000:]}")
        step = next(root.glob("own-*")) / "steps" / "operator"
        lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
        values = [line["val/nrmse"] for line in lines if line.get("val/nrmse") is not None]
        return min(values), step / "model"

    def __exit__(self, *_: object) -> None:
        self.scratch.cleanup()


def choose(which: str, name: str, task: Any, args: Any) -> tuple[float, str]:
    """The learning rate and the loss with the lowest validation error after a short run."""
    best = (float("inf"), 0.0, "")
    for loss in args.contenders[which].losses:
        for rate in RATES:
            with run(which, name, task, args, 0, args.sweep, rate, loss) as (error, _):
                print(f"{which} {loss} lr {rate:g}: validation {error:.5f}", flush=True)
                best = min(best, (error, rate, loss))
    return best[1], best[2]


def errors(bundle: Path, name: str, task: Any, args: Any) -> Iterator[tuple[str, float]]:
    """Test file -> mean relative L2 norm of the error over its samples."""
    simulator = load_bundle(bundle)
    tests = task["test"] if isinstance(task["test"], list) else [task["test"]]
    for file in (*tests, *args.also):
        options = {key: value for key, value in task.items() if key != "kind"} | {"test": str(Path(file))}
        made = create_task(task["kind"], options)
        made.name = name
        made.prepare_data(args.data_root, Console(quiet=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a finer grid is another problem is what is measured
            # A steady solution has one frame, so its nRMSE is the relative L2 norm.
            yield Path(file).name, score(simulator, made.open(args.data_root), "test").nrmse


if __name__ == "__main__":
    main()
