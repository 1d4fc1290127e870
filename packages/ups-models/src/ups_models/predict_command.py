"""`ups predict`: applies a trained model to fields in files, and says what a model expects."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ups_core import CommandConfig, UsageError
from ups_core.cli.options import at_least, user_path
from ups_core.cli.output import counted, print_columns, print_json
from ups_core.console import Console
from ups_core.reading import UnsoundFile
from ups_models.bundle_config import read_bundle_config
from ups_models.prediction.expects import Expects, choose_task, expects_of
from ups_models.prediction.models import find_model
from ups_models.prediction.words import axis_names_of, number, pairs

if TYPE_CHECKING:
    from ups_models.prediction.sources import Source

EPILOG = """MODEL is a run directory (its newest model), the directory of a step, or a saved model. Without
INPUT the command prints what the model expects, and an example that works.

INPUT has initial states (a steady task: coefficients) in .npz, .npy, .mat, .pt, HDF5, netCDF or zarr:
arrays that are called like the model's channels, or one array. Its axes are recognised by coordinates,
lengths and the usual order trajectory, time, channel, x, y, z; --axes names them where they are not clear. Of
a series the first frames are used. A PDE parameter is an array of its name with one number, or one for each
trajectory, or --param. Parameters outside the range of training and other grids than its own are reported,
and recorded in the output.

OUT has the predicted frames without the given ones, coordinates, parameters and attributes. It is written
piece by piece; .mat and .pt files at once, up to 1 GB.

exit codes:
  0  OUT is written
  2  the command, MODEL, INPUT or OUT is wrong

examples:
  ups predict runs/adv-1a2b3c4d
  ups predict runs/adv-1a2b3c4d u0.npz -o predicted.nc --steps 40 --param beta=0.4
  ups predict runs/darcy-1a2b3c4d/steps/operator darcy_test.pt -o solutions.npz
  ups predict runs/flow-1a2b3c4d 'states/*.h5' -o ensemble.zarr --steps 20 --members 16 --seed 1
"""


class PredictCommand:
    """Apply a trained model to fields in files."""

    help = "apply a trained model to fields in files, or print what it expects"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare model, inputs, output and options."""
        parser.epilog = EPILOG
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("model", type=user_path, metavar="MODEL", help="a run, a step or a saved model")
        parser.add_argument(
            "inputs", nargs="*", metavar="INPUT", help="files, folders of files, or patterns in quotes"
        )
        parser.add_argument(
            "-o", "--out", type=user_path, metavar="OUT", help="new file; its ending is the format"
        )
        parser.add_argument("--steps", type=int, metavar="N", help="frames to predict; not for steady tasks")
        parser.add_argument(
            "--param",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a PDE parameter of all inputs, in place of those in the files; repeatable",
        )
        parser.add_argument("--task", metavar="NAME", help="which of the model's tasks, if it has several")
        parser.add_argument(
            "--members", type=int, metavar="M", help="members of an ensemble of a stochastic model"
        )
        parser.add_argument("--seed", type=at_least(0), default=0, help="of the members (default: 0)")
        reading = parser.add_argument_group("reading INPUT")
        reading.add_argument(
            "--axes", metavar="AXES", help="axes of the fields in order, as letters of 'ntcxyz' or as names"
        )
        reading.add_argument(
            "--channel",
            action="append",
            default=[],
            metavar="NAME=ARRAY",
            help="the array of a channel; several channels of one array are its entries in order; repeatable",
        )
        reading.add_argument(
            "--dt", type=float, metavar="DT", help="time between stored frames, where no array has the times"
        )
        reading.add_argument(
            "--space-stride",
            type=at_least(1),
            default=1,
            metavar="N",
            help="stored points from one point to the next (default: 1)",
        )
        parser.add_argument(
            "--batch-size",
            type=at_least(1),
            metavar="B",
            help="inputs that are predicted together (default: as many as suit the grid)",
        )
        parser.add_argument(
            "--device",
            choices=("auto", "cpu", "gpu", "mps"),
            default="auto",
            help="default: auto, a GPU if any",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Predict, or say what the model expects.

        Raises:
            UsageError: the model, an input or the output is wrong, or a file cannot be read.
        """
        try:
            directory = find_model(args.model)
            config = read_bundle_config(directory)
            known = expects_of(config)
            if not args.inputs:
                _say_what_is_expected(args, config, known)
                return 0
            name = choose_task(list(known), args.task, "--task")
            if args.out is None:
                raise UsageError(
                    "-o is missing; name a new file for the predictions, such as -o predicted.npz"
                )
            _predict(args, directory, config, known[name], console)
        except UnsoundFile as error:  # the model or an input, which the command names
            raise UsageError(str(error)) from error
        return 0


def _say_what_is_expected(
    args: argparse.Namespace, config: dict[str, Any], known: dict[str, Expects]
) -> None:
    unused = [f"--{key}" for key in ("out", "steps", "members") if getattr(args, key) is not None]
    if unused:
        raise UsageError(f"{unused[0]} needs an INPUT; without one the command prints what the model expects")
    chosen = [choose_task(list(known), args.task, "--task")] if args.task else list(known)
    flags = {name: f" --task {name}" if len(known) > 1 else "" for name in chosen}
    examples = {name: known[name].example(str(args.model), flags[name]) for name in chosen}
    if args.json:
        tasks = [known[name].to_dict() | {"example": examples[name]} for name in chosen]
        print_json(_model(config) | {"tasks": tasks})
        return
    about = [(key, str(value)) for key, value in _model(config).items()]
    rows = [*about, *(row for name in chosen for row in (("", ""), *known[name].lines()))]
    print_columns(rows)
    for name in chosen:
        print("\nexample:" if len(chosen) == 1 else f"\nexample for {name}:")
        for line in examples[name]:
            print(f"  {line}")


def _model(config: dict[str, Any]) -> dict[str, str]:
    """Which model it is."""
    return {
        "model": config["kind"],
        "provider": f"{config['provider']} {config['version']}",
        "fingerprint": config.get("fingerprint", ""),
    }


def _predict(
    args: argparse.Namespace, directory: Path, config: dict[str, Any], expects: Expects, console: Console
) -> None:
    from ups_data.stores.array_writer import check_target  # `ups --help` must not import torch
    from ups_models.bundle import load_bundle
    from ups_models.device import choose_device
    from ups_models.prediction.array_input import ReadOptions
    from ups_models.prediction.predict import check_run, diverged_text, expects_of_simulator
    from ups_models.prediction.run import Run, predict_to_file
    from ups_models.prediction.sources import Source

    task = expects.task
    steps = check_run(expects, args.steps, args.members)
    check_target(args.out)
    device = choose_device(args.device, "--device")
    options = ReadOptions(axis_names_of(args.axes), pairs("--channel", args.channel), args.space_stride)
    params = {name: number(name, text) for name, text in pairs("--param", args.param).items()}
    source = Source(args.inputs, expects, options, params, args.dt, steps)
    console.say(f"{counted(source.count, 'input')}: {source.read_as}")
    notes = [*source.conditions.notes, *source.grid.notes]
    for note in notes:
        console.say(f"warning: {note}", style="yellow")
    simulator = load_bundle(directory).to(device)
    expects_of_simulator(simulator, task.name)
    run = Run(task.name, steps, args.members, args.seed, args.batch_size)
    attributes = _attributes(config, expects, source, run.members, args, notes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contents, diverged = predict_to_file(simulator, source, run, args.out, attributes, console)
    if diverged:
        console.say(f"warning: {diverged_text(diverged, source.count)}", style="yellow")
    shapes = {item.name: contents.shape(item) for item in contents.blockwise}
    if args.json:
        print_json({"out": str(args.out), "arrays": shapes, "warnings": notes, "diverged": diverged})
        return
    axes = ", ".join(contents.blockwise[0].axes)
    print(f"{args.out}: {', '.join(f'{name} {shape}' for name, shape in shapes.items())} as ({axes})")


def _attributes(
    config: dict[str, Any],
    expects: Expects,
    source: Source,
    members: int | None,
    args: argparse.Namespace,
    notes: Sequence[str],
) -> dict[str, str]:
    """What the output says about itself."""
    task, model = expects.task, _model(config)
    found = {
        "title": f"prediction of task '{task.name}' by a {model['model']}",
        "Conventions": "CF-1.11",
        "source": f"{model['model']} of {model['provider']}",
        "fingerprint": model["fingerprint"],
        "task": task.name,
        "equation": task.equation,
        "boundary": json.dumps(task.boundary),
        "inputs": " ".join(args.inputs),
        "input_axes": source.read_as,
        "warnings": "\n".join(notes),
    }
    if task.kind == "evolution":
        found["dt"] = f"{source.conditions.dt:g}"
    if members is not None:
        found |= {"members": str(members), "seed": str(args.seed)}
    return found
