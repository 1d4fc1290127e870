"""What the accuracy benchmark compares: tasks, models with their optimizers, and a run as a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TASKS: dict[str, dict[str, Any]] = {
    "advection1d": {"kind": "advection1d", "beta": [0.1, 0.4, 1.0]},
    "darcy2d": {"kind": "darcy2d"},
    "burgers1d": {"kind": "burgers1d", "nu": [0.01, 0.001]},
}
JOINT = "advection1d+darcy2d"
CONFIRMED = {"darcy2d"}
"""Tasks whose steps are so slow that a short run ranks learning rates badly: there the two best of the sweep
train for the whole time, once, and the better on the validation split is chosen."""
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
BATCH = 16
STAGE = {"batch_size": BATCH, "pushforward": 2, "validation_trajectories": 16}


@dataclass(frozen=True)
class Contender:
    """A model with its optimizer; `model` may differ from task to task, "" being any other task.

    Attributes:
        losses: by task; the package's or paper's recommended one.
        schedule: learning-rate schedule.
        batch: windows a batch, where a recommendation differs from the others' 16.
    """

    model: dict[str, dict[str, Any]]
    optimizer: str
    losses: dict[str, str] = field(default_factory=lambda: {"": "relative_l2"})
    schedule: str = "cosine"
    stage: dict[str, Any] = field(default_factory=dict)


UNET = {"": {"kind": "unet", "width": 32, "levels": 3}, "darcy2d": {"kind": "unet", "width": 16, "levels": 4}}
PDET = {"kind": "latent_operator", "width": 96, "depth": 4, "patch": 4}
"""The size that the earlier default had."""
SMALL = {
    "kind": "latent_operator",
    "width": 48,
    "middle_width": 32,
    "middle_blocks": {"2": 1},
    "depth": {"2": 1},
    "local_width": {"1": 16, "2": 8},
}
"""For the comparison of inference times."""
CONTENDERS = {
    "latent_operator": Contender({"": {"kind": "latent_operator"}}, "muon_hybrid"),
    "latent_small": Contender({"": SMALL}, "muon_hybrid"),
    "unet_muon": Contender(UNET, "muon_hybrid"),
    "unet_adamw": Contender(UNET, "adamw"),
    "neuraloperator_fno": Contender(
        {"": {"kind": "neuraloperator/fno"}}, "adamw", {"": "relative_l2", "darcy2d": "neuraloperator/h1"}
    ),
    "pdebench_fno": Contender(
        {"": {"kind": "fno", "width": 20, "modes": 12}},
        "adamw",
        {"": "mse"},
        "step",
        {"batch_size": 50},
    ),
    "pdet_stack": Contender({"": PDET | {"trunk": "pdet_stack"}}, "muon_hybrid"),
    "pdet_unet": Contender({"": PDET | {"trunk": "pdet_unet"}}, "muon_hybrid"),
    "latent_adamw": Contender({"": {"kind": "latent_operator"}}, "adamw"),
    "latent_rollout": Contender(
        {"": {"kind": "latent_operator"}}, "muon_hybrid", stage={"latent_unroll": 2, "consistency": 0.1}
    ),
}
JOINT_ADAMW = "latent_adamw"
"""The joint model with the other optimizer: what `benchmarks/optimizers.py` compares."""
SINGLE = [name for name in CONTENDERS if name != JOINT_ADAMW]
OURS = {"latent_operator", "latent_small", "latent_rollout", "pdet_stack", "pdet_unet"}


@dataclass(frozen=True)
class Job:
    """One training run."""

    task: str
    contender: str
    seed: int
    rate: float
    budget: float
    final: bool

    @property
    def path(self) -> Path:
        """Of its result."""
        kind = f"seed{self.seed}" if self.final else f"sweep-{self.rate:g}"
        return Path(f"{self.budget:g}s") / self.task / self.contender / f"{kind}.json"

    def spec(self, threads: int) -> dict[str, Any]:
        """What `ups-run` gets."""
        contender = CONTENDERS[self.contender]

        def choice(options: dict[str, Any]) -> Any:
            return options.get(self.task, options[""])

        stage = {
            "stage": "operator",
            "budget": self.budget,
            **STAGE,
            **contender.stage,
            "optimizer": {"kind": contender.optimizer, "lr": self.rate},
            "scheduler": {"kind": contender.schedule},
            "losses": [{"kind": choice(contender.losses)}],
        }
        return {
            "version": 1,
            "name": "accuracy",
            "seed": self.seed,
            "tasks": {name: TASKS[name] for name in self.task.split("+")},
            "sampling": {"temperature": 0.2},  # about as much time for each task
            "model": choice(contender.model),
            "trainer": {"accelerator": "cpu", "threads": threads},
            "pipeline": [stage],
        }


def shrink_tasks() -> None:
    """Leave little data of every task."""
    for name, task in TASKS.items():
        task |= {"trajectories": 40, "resolution": 32} | ({} if name == "darcy2d" else {"frames": 6})
