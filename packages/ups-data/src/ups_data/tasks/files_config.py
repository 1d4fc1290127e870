"""Options of tasks whose files the user gives: where they are, what the problem is, how it is split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ups_core import Component, Registered, TaskConfig
from ups_data.info import Boundary, Invariant, Scale, Symmetry
from ups_data.stores.array_options import ArrayOptions, Axis, Interval
from ups_data.tasks.base import SplitFractions


def listed(given: object) -> object:
    """A list of one for a single text."""
    return [given] if isinstance(given, str) else given


Files = Annotated[list[str], BeforeValidator(listed)]
Pair = tuple[Boundary, Boundary]


class FileSplit(SplitFractions):
    """How trajectories become splits: shares of them, or parts of the time of every one."""

    by: Literal["trajectory", "time"] = "trajectory"
    """`time` cuts the time of every trajectory into training, validation and test, in this order: for a few
    long trajectories. It is an easier test than trajectories that no training has seen."""
    gap: int | None = Field(default=None, ge=0)
    """Frames between the parts when split by time; default: those of a window of one step, `history` + 1."""


class FilesConfig(TaskConfig):
    """Options of every task whose files the user gives."""

    files: Files = []
    """Files to split by `split`: a path, a glob, or a list; relative ones start at the data root."""
    train: Files = []
    """Files to learn from, in place of `files`."""
    val: Files = []
    """Files that select weights and options; without them, a share of the trajectories to learn from."""
    test: Files = []
    """Files that reported numbers come from; their grid may differ from that of training."""
    boundary: Boundary | dict[Axis, Boundary | Pair] | None = None
    """`periodic`, `dirichlet`, `neumann`, `open` or `wall`; or for every axis one word, or two for its
    ends. Default: as the files say; required where they do not."""
    parameters: dict[str, float | str] = {}
    """PDE parameters that models get: name -> a number, or the name of one in the file (an array or
    attribute)."""
    file_pattern: str = ""
    """Part of the files' names that holds parameters: `nu{nu}` finds 0.01 in `run_nu0.01.npz`."""
    log_scale: list[str] = []
    """Parameters that span decades, of which models get the logarithm."""
    history: int = Field(default=1, ge=1)
    """Frames given to a model."""
    frames: int | None = Field(default=None, ge=2)
    """Frames of a trajectory, including the given ones; default: all."""
    time_stride: int = Field(default=1, ge=1)
    """Stored frames from one frame to the next."""
    space_stride: int | dict[Axis, Annotated[int, Field(ge=1)]] = Field(default=1)
    """Stored points from one point to the next, for all axes or for each."""
    trajectories: int | None = Field(default=None, ge=1)
    """Trajectories (steady: samples) used from every file; default: all."""
    same_starts: bool = False
    """Whether trajectory number i starts alike in every file, as in a sweep over a parameter: then all of
    them are in one split."""
    split: FileSplit = FileSplit()
    """Shares of the trajectories for training, validation and test, where files do not say."""
    forcing: list[str] = []
    """Fields that are given at every frame, future ones included, such as a control: names of channels."""
    vectors: dict[str, list[str]] = {}
    """Vector -> its channels along x, y and z, such as `velocity: [Vx, Vy]`."""
    units: dict[str, str] = {}
    """Channel or parameter -> its unit."""
    positive: list[str] = []
    """Channels that cannot be negative, such as a density; predictions are checked for it."""
    invariants: list[Invariant] = []
    """What the exact solution conserves: `mean`, `l2`."""
    symmetries: list[Symmetry] = []
    """Transformations that map solutions to solutions, which training may augment batches with."""
    equation: str = "unknown"
    """The problem in one line, for reports."""

    @model_validator(mode="after")
    def _sources_fit(self) -> FilesConfig:
        self.check_sources()
        return self

    def check_sources(self) -> None:
        """Check that the options name the data once.

        Raises:
            ValueError: they do not.
        """
        if self.files and (self.train or self.val or self.test):
            raise ValueError(
                "files are split by shares, and train, val and test are splits; give one or the other"
            )
        if not self.files and not (self.train and self.test):
            raise ValueError("no data: give files, or train and test (and val)")
        if self.split.by == "time" and not self.files:
            raise ValueError("split.by is 'time', but train and test name files; remove one")

    @model_validator(mode="after")
    def _values_fit(self) -> FilesConfig:
        if isinstance(self.space_stride, int) and self.space_stride < 1:
            raise ValueError(f"space_stride is {self.space_stride}; use 1 or more")
        if self.frames is not None and self.history >= self.frames:
            raise ValueError(
                f"history {self.history} leaves none of {self.frames} frames to predict; use a smaller one"
            )
        return self


class LayoutFilesConfig(FilesConfig):
    """Own files in any registered layout."""

    layout: Annotated[Component, Registered("layouts")]
    """How the files map to trajectories: `pdebench_tensor`, `the_well`, …"""
    domain: dict[Axis, Interval] = {}
    """Axis -> its ends; default: the ends of the coordinates, and one spacing more where the axis is
    periodic."""


class ArraysConfig(FilesConfig, ArrayOptions):
    """Own arrays: `.npy`, `.npz`, `.mat`, `.pt`, HDF5, netCDF or zarr files."""

    boundary: Boundary | dict[Axis, Boundary | Pair]
    """`periodic`, `dirichlet`, `neumann`, `open` or `wall`; or for every axis one word, or two for its
    ends."""


def scale_of(config: FilesConfig, name: str) -> Scale:
    """The scale of a parameter."""
    return "log" if name in config.log_scale else "linear"
