"""`metrics.json`: the numbers of one evaluation step, and `statistics.npz`, from which they follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ups_core.errors import printable
from ups_core.finished_step import FinishedStep
from ups_core.names import metric_key
from ups_core.reading import UnsoundFile, in_form, load_json
from ups_core.sealed import read_sealed, write_sealed
from ups_eval.cost import SolverRun
from ups_eval.trajectory_statistics import Reduction, Values, reduce_values

if TYPE_CHECKING:
    from ups_eval.scoring import TaskScore

SCHEMA = 3
"""Of `metrics.json`; since 3 errors are kept by channel, and physics, horizons and costs are in it."""
FILE = "metrics.json"
ENERGY_SCORE = "energy_score"
TRUTH = "truth"
"""What the true solution is called among the models that physics metrics are known of."""


@dataclass
class ScoredProblem:
    """What was scored of one task.

    Attributes:
        kind: `evolution` or `steady`.
        channels: names of the predicted channels, in the order of errors.
        parameters: names of the PDE parameters.
        trained: for every parameter the smallest and the largest value of the train split.
        params: name of the array with the parameters of every trajectory, `(n, P)`.
        grid: points along every axis.
        trained_grid: those of the train split.
        history: given frames.
        dt: time between frames.
        solver: name of the task's classical solver, "" without one.
        solver_runs: its error and time on several grids.
    """

    kind: str
    channels: list[str]
    parameters: list[str]
    trained: list[tuple[float, float]]
    params: str
    grid: list[int]
    trained_grid: list[int]
    history: int
    dt: float
    solver: str = ""
    solver_runs: list[SolverRun] = field(default_factory=list)


@dataclass
class Results:
    """Scores of one model and its baselines on the tasks of a run.

    JSON has no infinity: a number that is not finite is written as null and read as NaN; `diverged` counts
    the trajectories that caused it.

    Attributes:
        model: display name of the model under test (its kind).
        baselines: display names of the others, in the order of the spec.
        split: which trajectories were scored.
        metrics: `<task>/<metric>` of the model and `<task>/<baseline>/<metric>`, including `diverged`.
        per_step: task -> model -> nRMSE of every predicted frame.
        per_sample: task -> model -> nRMSE of every trajectory.
        trajectories: task -> ids of the scored trajectories.
        parameters: model -> number of trainable parameters.
        seconds: task -> model -> wall time of the rollouts in seconds.
        weights: model -> SHA-256 of the weights that were scored; models without weights are not there.
        frozen: the same for baselines that the run did not train.
        reductions: metric -> how it follows from the values of trajectories.
        values: task -> model -> metric -> name of the array of those values in `statistics.npz`.
        errors: task -> model -> name of the array with the nRMSE of every trajectory, frame and channel.
        names: registered names of the metrics that were asked for.
        higher_is_better: those of `names` whose largest value is the best.
        ideals: metric -> its best value, for those of `names` that are best at neither end.
        members: model -> members of its ensemble; models that predict once are not there.
        seed: of what the members drew.
        sampler: how the model under test sampled; empty for as trained.
        problems: task -> what was scored of it.
        horizons: numbers of predicted frames over which errors are averaged in tables, beside all of them.
        limit: how many trajectories of every parameter value were scored; 0 for all.
        memory: task -> model -> peak bytes of the tensors of one step for one trajectory.
        evaluations: task -> model -> evaluations of its networks for one trajectory.
        physics: those of `names` that the true solution has a value of too, under the model `truth`.
    """

    model: str
    baselines: list[str]
    split: str
    metrics: dict[str, float] = field(default_factory=dict)
    per_step: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    per_sample: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    trajectories: dict[str, list[int]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    reductions: dict[str, Reduction] = field(default_factory=dict)
    values: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    higher_is_better: list[str] = field(default_factory=list)
    ideals: dict[str, float] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    seed: int = 0
    sampler: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, ScoredProblem] = field(default_factory=dict)
    horizons: list[int] = field(default_factory=list)
    limit: int = 0
    memory: dict[str, dict[str, int]] = field(default_factory=dict)
    evaluations: dict[str, dict[str, float]] = field(default_factory=dict)
    physics: list[str] = field(default_factory=list)

    def add(self, task: str, model: str, score: TaskScore, arrays: dict[str, Values]) -> None:
        """Add a score; what it follows from goes to `arrays`, the later content of `statistics.npz`."""
        for metric, value in (*score.metrics.items(), ("diverged", float(score.diverged))):
            self.metrics[self.key(task, model, metric)] = value
        for metric, values in score.values.items():
            self._note(task, model, metric, self.store(values, arrays))
        self.errors.setdefault(task, {})[model] = self.store(score.errors, arrays)
        self.per_step.setdefault(task, {})[model] = score.per_step
        self.per_sample.setdefault(task, {})[model] = score.per_sample
        self.seconds.setdefault(task, {})[model] = score.seconds
        self.trajectories.setdefault(task, score.trajectories)

    def add_mean(self, task: str, model: str, metric: str, values: Values, arrays: dict[str, Values]) -> None:
        """Add a metric that is the mean of a value per trajectory `(n,)`."""
        self.reductions[metric] = "mean"
        self.metrics[self.key(task, model, metric)] = reduce_values(values, "mean")
        self._note(task, model, metric, self.store(values, arrays))

    def add_truth(self, task: str, score: TaskScore, arrays: dict[str, Values]) -> None:
        """Add the physics metrics of the true solution."""
        for metric, value in score.metrics.items():
            self.metrics[self.key(task, TRUTH, metric)] = value
            self._note(task, TRUTH, metric, self.store(score.values[metric], arrays))

    @staticmethod
    def store(values: Values, arrays: dict[str, Values]) -> str:
        """Add an array under a name of its own: names of tasks, models and metrics could collide."""
        name = f"a{len(arrays)}"
        arrays[name] = values
        return name

    def _note(self, task: str, model: str, metric: str, array: str) -> None:
        self.values.setdefault(task, {}).setdefault(model, {})[metric] = array

    @property
    def models(self) -> list[str]:
        """The model under test, then the baselines."""
        return [self.model, *self.baselines]

    @property
    def criterion(self) -> str:
        """The metric that the model is compared by: the energy score of ensembles, otherwise the nRMSE."""
        scored = self.model in self.members and ENERGY_SCORE in self.names
        return ENERGY_SCORE if scored else "nrmse"

    @property
    def tasks(self) -> list[str]:
        """Tasks on which some model was scored."""
        return list(self.per_step)

    @property
    def metric_names(self) -> list[str]:
        """Metrics in the order of the file."""
        names = {metric_key(name): name for name in self.names}
        keys = dict.fromkeys(key.rpartition("/")[2] for key in self.metrics)
        return [names.get(key, key) for key in keys if key != "diverged"]

    def key(self, task: str, model: str, metric: str) -> str:
        """The key of a number in `metrics`; its last part is the metric's, with `-` for `/`."""
        name = metric_key(metric)
        return f"{task}/{name}" if model == self.model else f"{task}/{model}/{name}"

    def value(self, task: str, model: str, metric: str = "nrmse") -> float | None:
        """A score; infinite if the model diverged, None if it was not scored on the task."""
        value = self.metrics.get(self.key(task, model, metric))
        # From a file it is NaN, because JSON has no infinity.
        return math.inf if value is not None and self.diverged(task, model) else value

    def diverged(self, task: str, model: str) -> int:
        """Number of trajectories with a prediction that is not finite."""
        return int(self.metrics.get(self.key(task, model, "diverged"), 0))

    def ratio(
        self, task: str, model: str, reference: str = "persistence", metric: str = "nrmse"
    ) -> float | None:
        """The model's score over that of the reference; below one is better. None if either is missing."""
        value, other = self.value(task, model, metric), self.value(task, reference, metric)
        return value / other if value is not None and other and math.isfinite(other) else None

    def best(self, task: str, metric: str = "nrmse") -> str | None:
        """The model with the best finite score of the task; None if there is none."""
        scores = {model: self.value(task, model, metric) for model in self.models}
        known = {
            model: value for model, value in scores.items() if value is not None and math.isfinite(value)
        }
        ideal = self.ideals.get(metric)
        if ideal is not None:
            known = {model: abs(value - ideal) for model, value in known.items()}
        choose = max if metric in self.higher_is_better else min
        return choose(known, key=known.__getitem__) if known else None

    def contradiction(self) -> str | None:
        """What two parts say differently, which would fail where they are shown; None if nothing."""
        for task, models in self.per_step.items():
            if unknown := models.keys() - set(self.models):
                return f"'{min(unknown)}' is scored on '{task}' but is not among the models"
        for name in ("per_sample", "seconds", "errors", "values", "memory", "evaluations"):
            for task, models in getattr(self, name).items():
                if unknown := models.keys() - self.per_step.get(task, {}).keys() - {TRUTH}:
                    return f"{name} has '{min(unknown)}' on '{task}', per_step has not"
        return None

    def to_dict(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return {"schema": SCHEMA, **asdict(self)}

    def write(self, directory: Path) -> None:
        """Write `metrics.json`."""
        write_sealed(directory / FILE, self.to_dict())

    @classmethod
    def read(cls, step: FinishedStep) -> Results | None:
        """Results of a finished step; None if it left none.

        Raises:
            UnsoundFile: the file is damaged, or of another version.
        """
        return cls.load(step.file(FILE)) if FILE in step.record.files else None

    @classmethod
    def load(cls, path: Path) -> Results | None:
        """Results from a file; None if it is not of this form.

        Raises:
            UnsoundFile: the file cannot be read, has changed since it was written, or is of another version.
        """
        raw = load_json(path)
        if not isinstance(raw, dict) or "per_step" not in raw:
            return None  # of a plugin's step that scores something else
        if raw.get("schema") != SCHEMA:
            return cls.from_dict(raw, path)  # which raises
        return cls.from_dict(read_sealed(path), path)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], path: Path) -> Results:
        """The inverse of :meth:`to_dict`, after JSON.

        Args:
            raw: what was read.
            path: of the file, for messages.

        Raises:
            UnsoundFile: it is of another version, or not of this form.
        """
        if (schema := raw.get("schema")) != SCHEMA:
            raise UnsoundFile(path, f"has schema {schema}; this version of ups-eval reads {SCHEMA}")
        plain = {key: value for key, value in raw.items() if key != "schema"}
        results = in_form(path, _ADAPTER.validate_python, _readable(plain), "a file of results")
        if problem := results.contradiction():
            raise UnsoundFile(path, f"contradicts itself: {problem}")
        return results


_ADAPTER = TypeAdapter(Results)


def _readable(value: Any) -> Any:
    """Turn null back into NaN, and control characters of names, which are printed, into their escapes."""
    if isinstance(value, dict):
        return {printable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return math.nan if value is None else value
