"""The spec's `trainer` section: where and how training computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ups_core.component import Component, Registered, default_component
from ups_core.config import Config


class TrainerSpec(Config):
    """Where and how training computes."""

    former_keys: ClassVar[Mapping[str, str]] = {"batch": "renamed to 'micro_batches' (none or auto) in 0.2"}
    without_effect: ClassVar[frozenset[str]] = frozenset({"workers", "max_time"})
    """Options that change no result."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """`auto` takes a GPU when there is one."""
    devices: Annotated[int, Field(ge=1)] = 1
    """Number of devices, each with a process and batches of its own: twice as many see twice the samples."""
    strategy: Annotated[Component, Registered("strategies")] = default_component("auto")
    """How several devices share the work."""
    precision: Literal["auto", 32, "tf32", "bf16-mixed", "16-mixed"] = "auto"
    """`auto`: bf16-mixed on a GPU that has it, else 32. `tf32`: 32, matrix products in TensorFloat-32."""
    micro_batches: Literal["none", "auto"] = "none"
    """`auto`: a batch is split into as many micro-batches as memory demands, with gradients accumulated;
    `none`: a batch is split only after memory has run out."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes per device that prepare batches ahead of training; the batches are the same."""
    max_time: Annotated[float, Field(gt=0.0)] | None = None
    """Seconds after which `ups-run` stops with a checkpoint and exit code 75; rerun the command to resume."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of every process; default: what torch chooses, or with several processes its share."""

    @model_validator(mode="after")
    def _half_needs_a_gpu(self) -> TrainerSpec:
        if self.accelerator == "cpu" and self.precision in ("16-mixed", "tf32"):
            raise ValueError(f"precision {self.precision} needs a GPU; on a CPU use 32 or bf16-mixed")
        return self
