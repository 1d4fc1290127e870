"""Options of the launchers `slurm` and `skypilot`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from ups_core.base_configs import LauncherConfig
from ups_core.names import DESCRIPTIONS, KEY, LINE, WORD, fits

Line = Annotated[str, Field(pattern=LINE)]
"""Text that cannot begin another line of a script."""
Word = Annotated[str, Field(pattern=WORD)]
"""Text that cannot begin another option of a command."""


def _on_one_line(value: str | int | bool) -> str | int | bool:
    if isinstance(value, str) and not fits(LINE, value):
        raise ValueError(f"expected {DESCRIPTIONS[LINE]}")
    return value


Value = Annotated[str | int | bool, AfterValidator(_on_one_line)]
"""Value of an option of another program."""
Key = Annotated[str, Field(pattern=KEY)]
"""Name of an option of another program."""


class SlurmConfig(LauncherConfig):
    """Starts every training stage as a Slurm job with one task per device.

    Needs `pip install 'ups-core[slurm]'` and Slurm's commands on PATH. `ups-run` waits for the job; a stopped
    `ups-run` cancels it, and a job that a killed one left in the queue is waited for.
    """

    remote: ClassVar[bool] = True

    partition: Word | None = None
    """Partition; default: the cluster's."""
    account: Word | None = None
    """Account to charge; default: the user's."""
    minutes: Annotated[int, Field(ge=5)] = 60
    """Time limit of one job; 90 s before it the job saves and is put back in the queue."""
    cpus_per_task: Annotated[int, Field(ge=1)] = 1
    """CPUs per task."""
    memory_gb: Annotated[int, Field(ge=1)] | None = None
    """Memory per node; default: the cluster's."""
    gpus_per_node: Annotated[int, Field(ge=1)] | None = None
    """GPUs, and so tasks, per node. Default: all of the trainer's devices on one node, with GPUs where
    `trainer.accelerator` is `gpu`."""
    requeues: Annotated[int, Field(ge=0)] = 3
    """Maximum number of times that a job is put back in the queue after its time limit or a preemption."""
    setup: list[Line] = []
    """Shell lines that run before the tasks start (`module load ...`)."""
    parameters: dict[Key, Value] = {}
    """Further options of sbatch by their long names (`qos: high`); they override those above."""


class SkyPilotConfig(LauncherConfig):
    """Runs every training stage on a cloud machine that SkyPilot rents and takes down again.

    Needs SkyPilot's command `sky` and `rsync` on PATH. Data, spec and packages are copied there; what the
    stage wrote is copied back, however it ends.
    """

    remote: ClassVar[bool] = True

    infra: Word | None = None
    """Cloud, such as `vast`, `aws`, `gcp/us-central1` or `kubernetes`; default: the cheapest that `sky check`
    finds."""
    accelerators: Word | None = None
    """Model of the GPUs, of which one is rented per device of the trainer; default: none."""
    use_spot: bool = False
    """Whether the machine may be taken away. The step then fails, and the next `ups-run` starts it
    from scratch."""
    disk_gb: Annotated[int, Field(ge=1)] | None = None
    """Size of the disk; default: SkyPilot's."""
    resources: dict[Key, Value] = {}
    """Further fields of SkyPilot's `resources` (`image_id`, `cpus`, `memory`, ...)."""
    setup: list[Line] = []
    """Shell lines that run before the packages are installed."""
    max_hours: PositiveFloat
    """Budget per step: hours that its machine may be in use, setup included; then the step is stopped."""
    max_cost_usd: PositiveFloat | None = None
    """Budget per step in dollars, converted to hours by `usd_per_hour`; the smaller budget applies."""
    usd_per_hour: PositiveFloat | None = None
    """Price of the machine, for `max_cost_usd`."""
    idle_minutes: Annotated[int, Field(ge=1)] = 10
    """Minutes without work after which the machine takes itself down, even if `ups-run` has ended."""

    @model_validator(mode="after")
    def _cost_needs_a_price(self) -> SkyPilotConfig:
        if (self.max_cost_usd is None) != (self.usd_per_hour is None):
            raise ValueError("max_cost_usd and usd_per_hour belong together; set both or neither")
        return self

    @property
    def budget_seconds(self) -> int:
        """Maximum time that a step's machine may be in use."""
        hours = self.max_hours
        if self.max_cost_usd is not None and self.usd_per_hour is not None:
            hours = min(hours, self.max_cost_usd / self.usd_per_hour)
        return max(1, int(3600 * hours))
