"""Speed and memory of training steps: precision x compiling x recomputation x offload, on the device at hand.

The reference model has 12 transformer blocks of width 384 and learns Darcy flow on random fields of 128 x 128
points; nothing is read or generated. Without a GPU a small model runs on the CPU, which shows that everything
works and says nothing about a GPU.

    python benchmarks/gpu.py                      # minutes on a GPU; prints the table of docs/benchmarks.md
    python benchmarks/gpu.py --batch 16 --steps 20
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accuracy import HERE
from rich.console import Console

from ups_core.console import Console as Quiet
from ups_core.spec import PipelineSpec
from ups_data import TaskData
from ups_train.engine.compilation import compile_network
from ups_train.engine.config import CompileConfig
from ups_train.engine.objective import ObjectiveInputs, create_objective
from ups_train.engine.step_clock import count_flops, peak_flops, peak_memory
from ups_train.sizing.measure import Trial
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

REFERENCE = {"width": 384, "depth": 12, "heads": 8}
TINY = {"width": 32, "depth": 2, "heads": 4, "modes": 4}


class Case(NamedTuple):
    """One way to train."""

    precision: Any
    compile: bool
    recompute: bool
    offload: bool

    def __str__(self) -> str:
        parts = [str(self.precision), "compiled" if self.compile else "eager"]
        return ", ".join([*parts, *(name for name in ("recompute", "offload") if getattr(self, name))])


def main() -> None:
    """Measure every case, print a table, keep it."""
    args = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console = Console(stderr=True)
    name = (
        torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    )
    if device.type == "cpu":
        console.print("no GPU here: a small model on the CPU; its figures say nothing about a GPU")
    precisions = (32, "tf32", "bf16-mixed") if device.type == "cuda" else (32, "bf16-mixed")
    offloads = (False, True) if device.type == "cuda" else (False,)
    rows = []
    for case in map(Case._make, itertools.product(precisions, (False, True), (False, True), offloads)):
        with console.status(str(case)):
            try:
                rows.append({"case": str(case), **measure(case, device, args)})
            except torch.OutOfMemoryError:
                rows.append({"case": str(case), "error": "out of memory"})
        console.print(rows[-1], highlight=False)
        torch.cuda.empty_cache()
    content = {"device": name, "torch": torch.__version__, "batch": args.batch, "rows": rows}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(_markdown(content))


def measure(case: Case, device: torch.device, args: argparse.Namespace) -> dict[str, Any]:
    """Samples a second, share of the peak, peak memory, and what compiling brought."""
    options = TINY if device.type == "cpu" else REFERENCE
    size = 32 if device.type == "cpu" else 128
    batch = args.batch if device.type == "cuda" else min(args.batch, 4)
    spec = PipelineSpec.model_validate(
        {
            "version": 1,
            "name": "gpu",
            "tasks": {"flow": {"kind": "darcy2d", "trajectories": 100, "resolution": size}},
            "model": {"kind": "latent_operator", "trunk": "pdet_stack", **options},
            "trainer": {
                "accelerator": "gpu" if device.type == "cuda" else "cpu",
                "precision": case.precision,
            },
            "pipeline": [
                {"stage": "operator", "recompute": case.recompute, "offload": case.offload, "ema": 0.999}
            ],
        }
    )
    config = spec.pipeline[0].config
    assert isinstance(config, OperatorConfig)
    torch.set_float32_matmul_precision("high" if case.precision == "tf32" else "highest")
    data = open_data(spec, args.data)
    torch.manual_seed(0)
    objective = create_objective(OperatorObjective, config, ObjectiveInputs(spec.model, {"flow": data}))
    trial = Trial(config, objective, spec, device)
    windows = data.windows("train", horizon=1)
    fields = windows.batch([sample % len(windows) for sample in range(batch)]).to(device)
    found: dict[str, Any] = {
        "parameters": sum(weight.numel() for weight in trial.module.network.parameters())
    }
    flops = count_flops(trial.module, lambda: trial.loss(fields))
    if case.compile:
        found |= compile_network(CompileConfig(), trial.module.network, [fields], trial.loss)
    for _ in range(3):
        trial.gradients(fields)
        trial.optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    for _ in range(args.steps):
        trial.gradients(fields)
        trial.optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    step = (time.perf_counter() - begin) / args.steps
    peak = peak_flops(device)
    return found | {
        "ms": round(1000 * step, 2),
        "samples_per_second": round(batch / step, 1),
        "mfu": round(flops / step / peak, 4) if peak else None,
        "peak_mb": round(peak_memory(device) / 1e6),
    }


def open_data(spec: PipelineSpec, root: Path) -> TaskData:
    """A few generated samples of Darcy flow."""
    task = spec.tasks["flow"].create(name="flow")
    task.prepare_data(root, Quiet(quiet=True))
    data: TaskData = task.open(root)
    return data


def _markdown(content: dict[str, Any]) -> str:
    lines = [
        f"{content['device']}, torch {content['torch']}, batches of {content['batch']}",
        "",
        "| case | ms/step | samples/s | MFU | peak MB | compiling |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["rows"]:
        if "error" in row:
            lines.append(f"| {row['case']} | {row['error']} | | | | |")
            continue
        brought = (
            f"{row['speedup']} x in {row['seconds']} s" if row.get("compiled") else row.get("reason", "")
        )
        mfu = "" if row["mfu"] is None else f"{100 * row['mfu']:.1f} %"
        cells = row["case"], row["ms"], row["samples_per_second"], mfu, row["peak_mb"], brought
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="32; on a CPU at most 4")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="timed steps; 20")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "gpu.json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
