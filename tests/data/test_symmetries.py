"""Declared symmetries against data: those of the equation pass, others are reported with the error they cause."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toy_flow import flow
from ups_core.console import Console
from ups_data.info import Channel, Symmetry, TaskInfo
from ups_data.prepare.symmetries import FEWEST, SymmetryCheck
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]


def steady(*symmetries: Symmetry) -> TaskInfo:
    fields = (Channel("a", "1", "coefficient"), Channel("u", "1", "target"))
    return replace(
        flow(dim=2, boundary="dirichlet", cells=16),
        kind="steady",
        channels=fields,
        dt=0.0,
        frames=1,
        history=0,
        symmetries=symmetries,
    )


def waves(dim: int, cells: int = 32, count: int = 40) -> Array:
    """Smooth random fields `(count, *S)`."""
    noise = np.random.default_rng(0).standard_normal((count, *[cells] * dim))
    for axis in range(1, dim + 1):
        noise = sum(np.roll(noise, shift, axis) for shift in range(4)) / 4
    return noise


def evolve(start: Array, step) -> Array:  # type: ignore[no-untyped-def]
    frames = [start]
    for _ in range(5):
        frames.append(step(frames[-1]))
    return np.stack(frames, axis=1)


def reported(info: TaskInfo, solution: Array, capsys: pytest.CaptureFixture[str], given: Array | None = None):  # type: ignore[no-untyped-def]
    """Symmetry -> (factor, joint error, plain error), as it is printed."""
    check = SymmetryCheck(info)
    for part in (slice(0, 11), slice(11, None)):
        static = np.empty((len(solution[part]), 0, *info.shape)) if given is None else given[part][:, None]
        check.add(np.zeros((len(static), 0)), solution[part][:, :, None], static)
    check.check(Console())
    said = " ".join("".join(capsys.readouterr()).split())
    pattern = (
        r"task 'flow': the training data contradict the declared symmetry '(\w+)': .*? ([\d.e+]+) times worse"
        r".*?\(relative errors ([\d.e+-]+) and ([\d.e+-]+)\); remove it"
    )
    found = {name: tuple(map(float, figures)) for name, *figures in re.findall(pattern, said)}
    assert len(found) == said.count("contradict")
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("advection1d", {"beta": [0.4, 4.0]}),
        ("burgers1d", {"nu": [0.01, 0.001, 1.0]}),
        ("darcy2d", {}),
        ("shallow_water2d", {"frames": 5, "time_stride": 5}),
        ("compressible_flow1d", {"frames": 3, "time_stride": 2, "eta": [1e-8]}),
    ],
)
@pytest.mark.parametrize("trajectories", [30, 100])
def test_nothing_is_said_of_the_shipped_tasks(
    kind: str,
    options: dict[str, Any],
    trajectories: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_nothing_is_said(kind, options | {"trajectories": trajectories}, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("compressible_flow2d", {"frames": 2, "mach": [0.1, 1.0]}),
        ("compressible_flow3d", {"frames": 2, "resolution": 16, "initial": "turbulence"}),
    ],
)
def test_nothing_is_said_of_expensive_tasks(
    kind: str, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_nothing_is_said(kind, options | {"trajectories": 30}, tmp_path, capsys)


def check_nothing_is_said(
    kind: str, options: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_task(kind, {"resolution": 64} | options).prepare_data(folder, Console())
    said = "".join(capsys.readouterr())
    assert "symmetry" not in said
    assert "invariant" not in said


@pytest.mark.parametrize(
    ("kind", "false"),
    [
        ("advection1d", ["reflection", "odd_reflection"]),
        ("burgers1d", ["reflection", "sign"]),
    ],
)
def test_the_audit_reports_symmetries_that_the_equation_does_not_have(
    kind: str,
    false: list[Symmetry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = create_task(kind, {"trajectories": 60, "resolution": 64})
    wrong = replace(task.info, symmetries=(*task.info.symmetries, *false))
    monkeypatch.setattr(type(task), "info", property(lambda self: wrong))
    task.prepare_data(tmp_path, Console())
    said = "".join(capsys.readouterr())
    assert re.findall(r"symmetry\s+'(\w+)'", said) == false


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_what_moves_along_an_axis_is_not_mirrored(dim: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A shift by a cell, which copies shift back: a map that follows both is off by the complete change."""
    moving = evolve(waves(dim, 8 if dim == 3 else 16), lambda u: np.roll(u, 1, axis=-1))
    symmetries: tuple[Symmetry, ...] = ("translation", "reflection", "sign")
    if dim > 1:
        symmetries += ("transpose",)
    info = flow(symmetries=symmetries, dim=dim, cells=moving.shape[-1])
    found = reported(info, moving, capsys)
    assert set(found) == {"reflection"} | ({"transpose"} if dim > 1 else set())
    factor, joint, plain = found["reflection"]
    assert factor > 5
    assert joint > 0.3
    assert plain < 0.1
    assert factor == pytest.approx(joint / plain, rel=0.2), "what is printed fits together"


def test_what_grows_in_one_place_only_is_not_shifted(capsys: pytest.CaptureFixture[str]) -> None:
    place = np.sin(2 * np.pi * (np.arange(32) + 0.5) / 32)
    forced = evolve(waves(1), lambda u: u + 0.3 * place)
    assert set(reported(flow(symmetries=("translation", "odd_reflection")), forced, capsys)) == {
        "translation"
    }


def test_a_true_symmetry_needs_no_symmetric_initial_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    """Positive lumps, all left of the middle and longer on their left, spread out with walls around them."""

    def spread(u: Array) -> Array:
        padded = np.pad(u, ((0, 0), (1, 1)), mode="edge")
        return u + 0.2 * (padded[:, 2:] - 2 * u + padded[:, :-2])

    x = np.arange(32)[None]
    middle = np.random.default_rng(1).uniform(6, 12, (40, 1))
    lumps = np.where(x < middle, np.exp(-((x - middle) ** 2) / 20), np.exp(-((x - middle) ** 2) / 4))
    assert (
        reported(flow(symmetries=("reflection", "sign"), boundary="neumann"), evolve(lumps, spread), capsys)
        == {}
    )


def test_a_steady_solution_is_compared_with_its_coefficient(capsys: pytest.CaptureFixture[str]) -> None:
    """Diffusion of low frequencies on a torus, in one case twenty times faster along one axis."""
    rows, columns = np.meshgrid(np.fft.fftfreq(16, 1 / 16), np.fft.rfftfreq(16, 1 / 16), indexing="ij")
    low = (abs(rows) <= 1) & (columns <= 1)
    spectrum = np.fft.rfft2(np.random.default_rng(2).standard_normal((128, 16, 16))) * low
    for ratio, false in ((1.0, set()), (20.0, {"transpose"})):
        solution = np.fft.irfft2(spectrum / (1 + rows**2 + ratio * columns**2))
        info = steady("reflection", "transpose")
        assert set(reported(info, solution[:, None], capsys, np.fft.irfft2(spectrum))) == false


def test_all_parameters_are_measured_and_the_worst_reported(capsys: pytest.CaptureFixture[str]) -> None:
    resting = evolve(waves(1), lambda u: 0.9 * u)
    moving = evolve(waves(1), lambda u: np.roll(u, 1, axis=-1))
    for files in ((resting, moving), (moving, resting)):
        check = SymmetryCheck(flow(symmetries=("reflection",)))
        for number, solution in enumerate(files):
            check.add(np.full((40, 1), float(number)), solution[:, :, None], np.empty((40, 0, 32)))
        check.check(Console())
        assert "'reflection'" in "".join(capsys.readouterr())


def test_parameters_of_single_trajectories_are_measured_together(capsys: pytest.CaptureFixture[str]) -> None:
    moving = evolve(waves(1), lambda u: np.roll(u, 1, axis=-1))[:, :, None]
    check = SymmetryCheck(flow(symmetries=("reflection", "sign")))
    check.add(np.linspace(0, 1, 40)[:, None], moving, np.empty((40, 0, 32)))
    check.check(Console())
    said = "".join(capsys.readouterr())
    assert "'reflection'" in said
    assert "'sign'" not in said


@pytest.mark.parametrize("fill", [0.0, 1.0, 1e30])
def test_constant_data_say_nothing(fill: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        reported(flow(symmetries=("translation", "reflection", "sign")), np.full((40, 6, 32), fill), capsys)
        == {}
    )


def test_few_trajectories_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    moving = evolve(waves(1, count=FEWEST - 1), lambda u: np.roll(u, 1, axis=-1))
    assert reported(flow(symmetries=("reflection",)), moving, capsys) == {}
