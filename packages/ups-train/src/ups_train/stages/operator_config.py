"""Options of the stage `operator`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from ups_core import Component, Config, LossConfig, ModelConfig, Registered
from ups_core.step_config import Issues
from ups_core.trainer import TrainerSpec
from ups_models.block_model import BlockModelConfig
from ups_models.noise_config import NoiseConfig
from ups_train.engine.config import Positive, TrainingConfig


class ObjectiveConfig(Config):
    """Whether the operator makes one prediction or an ensemble."""

    kind: Literal["deterministic", "ensemble"] = "deterministic"
    """`ensemble`: the model gets a noise input, and its members are trained on a proper score."""
    score: Literal["energy", "crps", "both"] = "energy"
    """`energy`: score of complete fields, sensitive to their spatial correlation; `crps`: score of single
    points; `both`: the sum."""
    members: Annotated[int, Field(ge=1)] = 4
    """Members per training window; multiplies the batch that the network sees."""
    noise: NoiseConfig = NoiseConfig()
    """The noise input."""

    @model_validator(mode="after")
    def _ensembles_have_members(self) -> ObjectiveConfig:
        if self.kind == "ensemble" and self.members == 1:
            raise ValueError(
                "one member has no spread, so its score is that of a deterministic model; "
                "set members to 2 or more, or kind to deterministic"
            )
        # By value, not by what was written: a resolved spec writes every default.
        fields = type(self).model_fields
        extra = [name for name in fields if name != "kind" and getattr(self, name) != fields[name].default]
        if self.kind == "deterministic" and extra:
            raise ValueError(f"'{extra[0]}' is for ensembles; set kind to ensemble, or remove it")
        return self


class TilesConfig(Config):
    """Random tiles of the grid, on which the loss and its gradients are computed."""

    cells: Positive = 64
    """Cells of a tile along every axis; divides those of every task's grid."""
    halo: Annotated[int, Field(ge=0)] = 16
    """Cells around a tile that the network sees too. Where it sees further, which is said before a run, cells
    near the edge of a tile see a boundary that is not there."""
    first: Positive | None = None
    """Cells of the first tiles, which double until they are `cells`; default: `cells`."""
    curriculum: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the training over which tiles grow."""

    @model_validator(mode="after")
    def _doubles(self) -> TilesConfig:
        sizes = self.sizes
        if sizes[-1] != self.cells:
            raise ValueError(
                f"cells {self.cells} is not first {self.first} times a power of two; change one of them"
            )
        return self

    @property
    def sizes(self) -> list[int]:
        """Cells of tiles in the order of the training."""
        sizes = [self.cells if self.first is None else self.first]
        while sizes[-1] < self.cells:
            sizes.append(2 * sizes[-1])
        return sizes

    def cells_at(self, progress: float) -> int:
        """Cells of a tile along every axis.

        Args:
            progress: of the training, from 0 to 1.
        """
        sizes = self.sizes
        return sizes[min(int(progress / self.curriculum * len(sizes)), len(sizes) - 1)]


class OperatorConfig(TrainingConfig):
    """Trains a simulator to advance (evolution) or solve (steady) every task of the spec."""

    produces: ClassVar[tuple[str, ...]] = ("simulator", "operator")

    objective: ObjectiveConfig = ObjectiveConfig()
    """`{kind: ensemble}` trains an ensemble in place of one prediction."""
    unroll: Positive = 1
    """Steps that the model runs on its own output with gradients; the loss sees all of them."""
    pushforward: Annotated[int, Field(ge=0)] = 0
    """Maximum number of gradient-free steps on the model's own output before the unrolled ones (Brandstetter
    et al. 2022, arXiv:2202.03376)."""
    curriculum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the training over which `unroll` and `pushforward` grow from 1 and 0 to their values."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise added to given frames, relative to that of the field."""
    tiles: TilesConfig | None = None
    """Compute the loss on random tiles of the grid, so that grids are trained whose gradients do not fit in
    memory; for losses that are means over cells (`mse`). Validations predict the complete grid."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    latent_unroll: Annotated[int, Field(ge=0)] = 0
    """Steps of a rollout inside the latent space (encode once, advance, decode) that the loss also sees."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the codec's losses: decoding what was encoded gives the field back, and encoding the next
    frame gives the advanced latent."""
    losses: Annotated[list[Annotated[Component, Registered("losses")]], Field(min_length=1)] = Field(
        default=["relative_l2"], validate_default=True
    )
    """Losses, added up with their weights: of normalised fields against the truth, and of physics; an
    ensemble is trained on its score."""
    gradients: Literal["sum", "conflict_free"] = "sum"
    """`sum`: the gradient of the sum of losses. `conflict_free`: a direction along which all of them decrease
    in proportion to their weights, however large their gradients are (ConFIG, Liu et al., arXiv 2408.11104),
    at one more backward pass for every loss."""

    @property
    def monitor(self) -> str:
        """The energy score of an ensemble, the nRMSE of one prediction."""
        return "val/energy_score" if self.objective.kind == "ensemble" else super().monitor

    @property
    def samples(self) -> bool:
        """Whether it is an ensemble."""
        return self.objective.kind == "ensemble"

    @property
    def correlates_frames(self) -> tuple[str, str] | None:
        """Noise that a member keeps during a rollout."""
        return ("objective.noise.hold: true", "false") if self.samples and self.objective.noise.hold else None

    def trained_model(self, default: Component) -> Component | None:
        """For an ensemble the model with its noise."""
        model = super().trained_model(default)
        if model is None or not _takes(model, self.objective):
            return model
        return Component(model.entry, model.config.model_copy(update={"noise": self.objective.noise}))

    @property
    def horizon(self) -> int:
        """The longest rollout that the loss sees."""
        return max(self.unroll + self.pushforward, self.latent_unroll)

    def _tile_issues(self, tiles: TilesConfig, tasks: Mapping[str, Any], model: ModelConfig) -> Issues:
        """Grids, losses and rollouts that tiles do not work for."""
        problems = [
            ("tiles", f"tiles are for single predictions; set {option} to {plain}")
            for option, plain, given in (
                ("unroll", 1, self.unroll),
                ("latent_unroll", 0, self.latent_unroll),
                ("consistency", 0, self.consistency),
                ("objective", "deterministic", self.objective.kind),
            )
            if given != plain
        ]
        for number, loss in enumerate(self.losses):
            assert isinstance(loss.config, LossConfig)
            if not loss.config.pointwise:
                message = f"'{loss.kind}' is not a mean over cells, which tiles need"
                problems.append((f"losses.{number}.kind", f"{message}; use mse, or remove tiles"))
        for name, task in tasks.items():
            if not model.local(task):
                message = f"the model sees the complete grid of task '{name}'; train a unet, or remove tiles"
                problems.append(("tiles", message))
                continue
            block = model.tile_cells(task)
            for size in (*tiles.sizes, tiles.halo):
                if size % block:
                    problems.append(
                        ("tiles", f"{size} is not a multiple of the model's blocks of {block} cells")
                    )
            for count in task.shape:
                if count % tiles.cells:
                    message = f"tiles of {tiles.cells} do not divide the {count} cells of task '{name}'"
                    problems.append(("tiles.cells", message))
        return problems

    def check_trainer(self, trainer: TrainerSpec, launcher: Component) -> Issues:
        """Gradients of single losses need complete weights."""
        problems = list(super().check_trainer(trainer, launcher))
        if self.gradients != "conflict_free":
            return problems
        if trainer.precision == "16-mixed":
            problems.append(("gradients", "16-mixed scales one loss; use bf16-mixed, or set it to sum"))
        if trainer.devices > 1 and trainer.strategy.kind != "ddp":
            way = "set trainer.strategy to ddp, or gradients to sum"
            problems.append(("gradients", f"gradients of single losses need complete weights; {way}"))
        return problems

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Deterministic, without losses of a latent space that the other model does not have, and on complete
        grids if it sees all of them."""
        assert isinstance(model.config, ModelConfig)
        latent = {} if model.config.latent else {"latent_unroll": 0, "consistency": 0.0}
        tiles = {"tiles": None} if _never_local(model.config) else {}
        return super().for_baseline(model) | latent | tiles | {"objective": ObjectiveConfig()}

    def advise(self, tasks: Mapping[str, Any], model: Component) -> Sequence[str]:
        """A halo that is narrower than what the network sees."""
        if self.tiles is None or not isinstance(model.config, BlockModelConfig):
            return []
        lines = []
        for name, task in tasks.items():
            # The last cell of a block sees as far as the first one of the next block, which is counted.
            seen = min(model.config.cells_seen(task.dim) or 0, max(task.shape) - self.tiles.cells)
            if self.tiles.halo < seen:
                block = model.config.tile_cells(task)
                enough = -(-seen // block) * block
                lines.append(
                    f"tiles.halo {self.tiles.halo} is less than the {seen} cells that '{model.kind}' sees on "
                    f"each side of a tile of task '{name}', which biases gradients; {enough} is enough"
                )
        return lines

    def check(self, tasks: Mapping[str, Any], model: Component) -> Issues:
        """Losses of a latent space need a model that has one, ensembles one that takes noise."""
        assert isinstance(model.config, ModelConfig)
        problems = list(super().check(tasks, model))
        if self.objective.kind == "ensemble":
            if not model.config.stochastic:
                problems.append(("objective", f"'{model.kind}' takes no noise; train a latent_operator"))
            problems += [
                (option, "an ensemble has no loss of its latent space; set it to 0")
                for option in ("latent_unroll", "consistency")
                if getattr(self, option)
            ]
            if [loss.to_dict() for loss in self.losses] != [{"kind": "relative_l2", "weight": 1.0}]:
                problems.append(("losses", "an ensemble is trained on its score; remove the losses"))
        if not model.config.latent:
            problems += [
                (option, f"'{model.kind}' has no latent space; set it to 0")
                for option in ("latent_unroll", "consistency")
                if getattr(self, option)
            ]
        problems += [
            (f"losses.{number}.{option}", message)
            for number, loss in enumerate(self.losses)
            for option, message in _loss_issues(loss, tasks)
        ]
        if self.tiles is not None:
            problems += self._tile_issues(self.tiles, tasks, model.config)
        if self.gradients == "conflict_free" and len(self.losses) == 1:
            message = "conflict_free needs at least two losses; add one, or set it to sum"
            problems.append(("gradients", message))
        forced = next((name for name, task in tasks.items() if task.forcing_channels), None)
        if forced is not None and self.latent_unroll:
            problems.append(
                (
                    "latent_unroll",
                    f"task '{forced}' has a forcing, unseen by latent steps; set it to 0",
                )
            )
        return problems


def _loss_issues(loss: Component, tasks: Mapping[str, Any]) -> Issues:
    assert isinstance(loss.config, LossConfig)
    return loss.config.check(tasks)


def _never_local(model: ModelConfig) -> bool:
    """Whether a model sees the complete grid of every task, and cannot be trained on tiles."""
    if isinstance(model, BlockModelConfig):
        return all(model.cells_seen(dim) is None for dim in (1, 2, 3))
    return type(model).local is ModelConfig.local


def _takes(model: Component, objective: ObjectiveConfig) -> bool:
    """Whether a model gets the noise of an objective."""
    assert isinstance(model.config, ModelConfig)
    return objective.kind == "ensemble" and model.config.stochastic
