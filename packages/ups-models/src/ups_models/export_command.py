"""`ups export`: one step of a trained model as a program that runs without UPS."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ups_core import CommandConfig, UsageError
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_models.bundle_config import read_bundle_config
from ups_models.prediction.expects import choose_task, expects_of
from ups_models.prediction.models import find_model

ENDINGS = {"torch": ".pt2", "onnx": ".onnx"}
"""Format -> ending of its files."""
EPILOG = """MODEL is a run directory (its newest model), the directory of a step, or a saved model. The
program takes physical units and gives physical units, on the grid of training, for batches of any size:

  evolution   (state, params) -> next frame    state (B, H, C, *S), params (B, P)
  steady      (static, params) -> solution     static (B, C, *S)

params is left out where the task has none; static and forcing of an evolution follow where it has them.
OUT.json beside it says channels, units, grid, dt and shapes. What is written is read again and compared with
the model. A stochastic model is exported without noise, a corrected one without sampled residuals.

  torch   torch.export; torch.export.load(OUT).module()(state, params)
  onnx    Fourier layers as products with matrices; needs pip install 'ups-models[onnx]'

exit codes:
  0  OUT is written, and predicts the same
  1  the model cannot be exported
  2  the command is wrong

examples:
  ups export runs/adv-1a2b3c4d --format torch -o step.pt2
  ups export runs/adv-1a2b3c4d --format onnx -o step.onnx
"""


class ExportCommand:
    """Write one step of a trained model as a program."""

    help = "write one step of a trained model as a torch or ONNX program"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare model, format and output."""
        parser.epilog = EPILOG
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("model", type=user_path, metavar="MODEL", help="a run, a step or a saved model")
        parser.add_argument("--format", choices=tuple(ENDINGS), default="torch", help="default: torch")
        parser.add_argument("-o", "--out", type=user_path, required=True, metavar="OUT", help="new file")
        parser.add_argument("--task", metavar="NAME", help="which of the model's tasks, if it has several")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Export.

        Raises:
            UPSError: the model cannot be exported, or OUT cannot be written.
        """
        directory = find_model(args.model)
        config = read_bundle_config(directory)
        known = expects_of(config)
        name = choose_task(list(known), args.task, "--task")
        _check(args.out, args.format)
        from ups_models.bundle import load_bundle  # `ups --help` must not import torch
        from ups_models.export.program import export_step

        expects = known[name]
        metadata = {
            "model": config["kind"],
            "provider": f"{config['provider']} {config['version']}",
            "fingerprint": config.get("fingerprint", ""),
            "without_noise": expects.stochastic,
        }
        if expects.stochastic:
            console.say("the model is stochastic: its prediction without noise is exported", style="yellow")
        exported = export_step(load_bundle(directory), expects, args.format, args.out, metadata)
        if args.json:
            print_json({"out": str(args.out), **exported._asdict()})
        elif exported.difference is None:
            print(f"{args.out}: not compared with the model, because onnxruntime is not installed")
        else:
            size = f"{exported.difference:.2g} of {exported.scale:.2g}"
            print(f"{args.out}: largest difference from the model {size}")
        return 0


def _check(out: Path, kind: str) -> None:
    """Refuse an output that cannot be written before the model is loaded."""
    if out.suffix.lower() != ENDINGS[kind]:
        raise UsageError(f"{out} is not a {ENDINGS[kind]} file, the ending for --format {kind}")
    for path in (out, out.with_name(out.name + ".json")):
        if os.path.lexists(path):
            raise UsageError(f"{path} already exists; choose another -o or remove it")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is not a directory; create it or choose another -o")
