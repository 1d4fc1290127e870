"""Options of the launchers `slurm` and `skypilot`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat, model_validator

from ups_core.base_configs import LauncherConfig


class SlurmConfig(LauncherConfig):
    """A Slurm job with a task for every device; needs `pip install 'ups-core[slurm]'`."""

    remote: ClassVar[bool] = True

    partition: str | None = None
    """Partition; default: the cluster's."""
    account: str | None = None
    """Account that is charged; default: the user's."""
    minutes: Annotated[int, Field(ge=5)] = 60
    """Time limit of one job; 90 s before its end the job is put back in the queue."""
    cpus_per_task: Annotated[int, Field(ge=1)] = 1
    """CPUs of every task."""
    memory_gb: Annotated[int, Field(ge=1)] | None = None
    """Memory of every node; default: the cluster's."""
    gpus_per_node: Annotated[int, Field(ge=1)] | None = None
    """GPUs, and so tasks, of every node; default: all of the trainer's devices on one node, which asks for
    GPUs where `trainer.accelerator` is `gpu`."""
    requeues: Annotated[int, Field(ge=0)] = 3
    """How often a job that reached its time limit, or was told to end by Slurm, is put back in the queue."""
    setup: list[str] = []
    """Shell lines before the tasks start (`module load ...`)."""
    parameters: dict[str, str | int | bool] = {}
    """Further options of sbatch by their long names (`qos: high`); they replace those above."""


class SkyPilotConfig(LauncherConfig):
    """A machine of a cloud for every step, rented and given back by SkyPilot's command `sky`."""

    remote: ClassVar[bool] = True

    infra: str | None = None
    """Where: `vast`, `aws`, `gcp/us-central1`, `kubernetes`; default: the cheapest that `sky check` finds."""
    accelerators: str | None = None
    """Kind of GPU, of which there is one for every device of the trainer; default: none."""
    use_spot: bool = False
    """Whether the machine may be taken away; the step then fails, and starts anew with the next `ups-run`."""
    disk_gb: Annotated[int, Field(ge=1)] | None = None
    """Size of the disk; default: SkyPilot's."""
    resources: dict[str, str | int | bool] = {}
    """Further fields of SkyPilot's `resources` (`image_id`, `cpus`, `memory`...)."""
    setup: list[str] = []
    """Shell lines before the packages are installed."""
    max_hours: PositiveFloat
    """Budget: a step is stopped when its machine was in use for so long, setup included."""
    max_cost_usd: PositiveFloat | None = None
    """Budget in dollars, which `usd_per_hour` turns into hours; the tighter one counts."""
    usd_per_hour: PositiveFloat | None = None
    """Price of the machine that `max_cost_usd` is reckoned with."""
    idle_minutes: Annotated[int, Field(ge=1)] = 10
    """The machine takes itself down after so long without work, even if nobody is there to do it."""

    @model_validator(mode="after")
    def _cost_needs_a_price(self) -> SkyPilotConfig:
        if (self.max_cost_usd is None) != (self.usd_per_hour is None):
            raise ValueError("max_cost_usd and usd_per_hour go together; give both or neither")
        return self

    @property
    def budget_seconds(self) -> int:
        """How long a step's machine may be in use."""
        hours = self.max_hours
        if self.max_cost_usd is not None and self.usd_per_hour is not None:
            hours = min(hours, self.max_cost_usd / self.usd_per_hour)
        return max(1, int(3600 * hours))
