"""`ups size`: what a spec's training takes on this machine, before it is started."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.filesize import decimal

from ups_core import CommandConfig
from ups_core.cli.options import add_data_root, add_overrides, add_runs_dir, data_root, user_path
from ups_core.cli.output import print_json, print_table
from ups_core.console import Console
from ups_core.execution import step_context
from ups_core.files import write_json
from ups_core.layout import step_directory
from ups_core.plan import Plan
from ups_core.planner import make_plan
from ups_core.validate import load_spec
from ups_models.device import choose_device
from ups_train.engine.config import TrainingConfig
from ups_train.engine.objective import ARTIFACT, ObjectiveInputs, create_objective
from ups_train.engine.stage import TrainingStage
from ups_train.sizing.measure import Sizing, free_memory, measure

FILE = "sizing.json"
COLUMNS = (
    "stage",
    "model",
    "parameters",
    "state",
    "per sample",
    "micro-batch",
    "s/step",
    "steps",
    "training",
    "disk",
)


class SizeCommand:
    """Measure what every training stage, baselines included, takes on this device."""

    help = "parameters, memory, largest micro-batch, time and disk of a spec's training on this device"

    def __init__(self, config: CommandConfig | None = None) -> None:
        pass

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("spec", type=user_path, metavar="SPEC", help="the YAML file")
        add_overrides(parser)
        add_runs_dir(parser)
        add_data_root(parser)
        parser.add_argument("--json", action="store_true", help="print sizing.json")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Prepare the data, measure, print; leaves `sizing.json` in the run's directory."""
        spec, document = load_spec(args.spec, args.overrides)
        plan = make_plan(spec, document, runs_dir=args.runs_dir, data_root=data_root(args.data_root))
        for task in plan.tasks.values():
            task.prepare_data(plan.data_root, console)
        device = choose_device(spec.trainer.accelerator)
        if spec.trainer.threads is not None:
            torch.set_num_threads(spec.trainer.threads)
        with TemporaryDirectory() as folder:
            found = _measure_all(replace(plan, directory=Path(folder)), device, console)
        files = [path for part in plan.data.values() for path in part.files]
        training = sum(sizing.training for sizing in found.values())
        disk = sum(sizing.disk for sizing in found.values())
        stored = sum(path.stat().st_size for path in files if path.exists())
        stages = {name: sizing.to_dict() for name, sizing in found.items()}
        content = {"stages": stages, "training_seconds": training, "disk": disk, "data": stored}
        plan.directory.mkdir(parents=True, exist_ok=True)
        write_json(plan.directory / FILE, content)
        if args.json:
            print_json(content)
            return 0
        print_table(COLUMNS, [_row(name, sizing) for name, sizing in found.items()])
        print(
            f"\ntraining {_duration(training)}, checkpoints and models {decimal(disk)}, "
            f"data {decimal(stored)}; "
            f"{decimal(free_memory(device))} of memory are free on {device}"
        )
        return 0


def _measure_all(plan: Plan, device: torch.device, console: Console) -> dict[str, Sizing]:
    """Step -> sizes. What a step leaves is written to the plan's directory: later steps may start from it."""
    found: dict[str, Sizing] = {}
    for step in plan.steps:
        if not isinstance(step.spec.config, TrainingConfig):
            continue
        stage = step.spec.entry.create(step.spec.config)
        if isinstance(stage, TrainingStage):
            console.say(f"measuring {step.id} on {device}")
            inputs = ObjectiveInputs.open(stage.config, step_context(plan, step, console))
            objective: Any = create_objective(stage.objective, stage.config, inputs)
            found[step.id] = measure(stage.config, objective, inputs, plan.spec, device)
            objective.cpu().export(objective.network, step_directory(plan.directory, step.id) / ARTIFACT)
    return found


def _row(name: str, sizing: Sizing) -> tuple[str, ...]:
    return (
        name,
        sizing.model,
        f"{sizing.parameters:,}",
        decimal(sizing.state),
        decimal(sizing.activations),
        str(sizing.micro_batch or "none fits"),
        f"{sizing.step:.3g}",
        f"{sizing.steps:,}",
        _duration(sizing.training),
        decimal(sizing.disk),
    )


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
