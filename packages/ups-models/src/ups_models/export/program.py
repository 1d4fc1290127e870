"""Writes one step of a simulator as a torch program or an ONNX graph, and compares what it reads again."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ups_core import UPSError, UsageError
from ups_core.files import replacing, write_json
from ups_models.export.step_module import StepModule, input_shapes
from ups_models.export.without_fft import replace_ffts
from ups_models.prediction.expects import Expects
from ups_models.simulator import Simulator

BATCHES = (1, 3, 5)
"""Sizes of the batches that are compared; the second one is the example that is traced."""
ROUNDING = 1e-4
"""Largest difference, relative to the largest value, that another order of additions explains."""
OUTPUT = "prediction"
"""Name of the output."""
Inputs = tuple[Tensor, ...]


class Exported(NamedTuple):
    """What was written.

    Attributes:
        difference: largest absolute difference of the reloaded program from the simulator; None if nothing on
            this machine runs it.
        scale: largest absolute value of the predictions.
    """

    difference: float | None
    scale: float


def export_step(
    simulator: Simulator, expects: Expects, kind: str, out: Path, metadata: dict[str, Any]
) -> Exported:
    """Write a step, with its description beside it as `OUT.json`.

    Args:
        simulator: the model.
        expects: of the task.
        kind: `torch` or `onnx`.
        out: a new file.
        metadata: further entries of the description.

    Raises:
        UPSError: the model cannot be exported, or predicts something else afterwards; nothing is left.
        UsageError: a package is missing.
    """
    task = expects.task
    if not simulator.supports(task):
        raise UsageError(f"this model makes no predictions for the {task.kind} task '{task.name}'")
    step = StepModule(simulator, task.name)
    cases = [_inputs(expects, simulator, count) for count in BATCHES]
    with torch.no_grad():
        wanted = [step(*case) for case in cases]
    scale = max(float(found.abs().max()) for found in wanted)
    with replacing(out) as temporary:
        with _quiet():
            try:
                predict = WRITERS[kind](step, cases[1], temporary)
            except UPSError:
                raise
            except Exception as error:  # torch's exporters raise many kinds for what they cannot trace
                reason = " ".join(str(error).split())[:300]
                raise UPSError(
                    f"a {type(simulator.network).__name__} cannot be exported as {kind}: {reason}"
                ) from error
        difference = None
        if predict is not None:
            found = [predict(*case) for case in cases]
            difference = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))
            if not difference <= ROUNDING * max(scale, 1e-30):
                raise UPSError(
                    f"the exported program differs from the model by {difference:.2g} of {scale:.2g}; it is "
                    "not kept"
                )
        described = {**metadata, **_description(expects), "format": kind, "largest_difference": difference}
        write_json(out.with_name(out.name + ".json"), described)
    return Exported(difference, scale)


def _description(expects: Expects) -> dict[str, Any]:
    """What users of the program must know."""
    task = expects.task
    return {
        **expects.to_dict(),
        "inputs": {name: ["batch", *shape] for name, shape in input_shapes(task).items()},
        "output": {OUTPUT: ["batch", len(task.target_channels), *task.shape]},
        "coordinates": [list(points) for points in task.axes],
    }


def _inputs(expects: Expects, simulator: Simulator, count: int) -> Inputs:
    """Random fields with the statistics of training, and parameters in their ranges."""
    task, generator = expects.task, torch.Generator().manual_seed(count)
    normaliser = simulator.normaliser(task.name)
    made = []
    for name, shape in input_shapes(task).items():
        noise = torch.randn(count, *shape, generator=generator)
        if name == "params":
            low, high = (
                torch.tensor(ends) for ends in zip(*map(expects.range_of, task.parameters), strict=True)
            )
            made.append(low + (high - low) * torch.rand(count, *shape, generator=generator))
        else:
            mean, std = (getattr(normaliser, f"{name}_{what}").cpu() for what in ("mean", "std"))
            made.append(mean + std * noise)
    return tuple(made)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' own messages: they are about torch's operators, not about the user's model."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _batch_axis(example: Inputs) -> tuple[tuple[dict[int, Any], ...]]:
    """The first axis of every input may have any length."""
    batch = torch.export.Dim("batch")
    return (tuple({0: batch} for _ in example),)


def _torch(step: StepModule, example: Inputs, path: Path) -> Callable[..., Tensor]:
    program = torch.export.export(step, example, dynamic_shapes=_batch_axis(example))
    with path.open("wb") as file:
        torch.export.save(program, file)
    with path.open("rb") as file:
        loaded: nn.Module = torch.export.load(file).module()
    return loaded


def _onnx(step: StepModule, example: Inputs, path: Path) -> Callable[..., Tensor] | None:
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            raise UsageError(
                f"--format onnx needs the package {package}; install it with: pip install 'ups-models[onnx]'"
            ) from None
    replace_ffts(step, example)
    program = torch.onnx.export(
        step,
        example,
        dynamo=True,
        input_names=list(step.names),
        output_names=[OUTPUT],
        dynamic_shapes=_batch_axis(example),
        verbose=False,
    )
    assert program is not None
    program.save(path)
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def predict(*inputs: Tensor) -> Tensor:
        named = {name: value.numpy() for name, value in zip(step.names, inputs, strict=True)}
        return torch.from_numpy(np.asarray(session.run(None, named)[0]))

    return predict


WRITERS: dict[str, Callable[[StepModule, Inputs, Path], Callable[..., Tensor] | None]] = {
    "torch": _torch,
    "onnx": _onnx,
}
"""Format -> what writes it, and returns what was read again."""
