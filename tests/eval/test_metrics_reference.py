"""Metrics against an independent numpy version, for random shapes and any batching.

The numpy version is written from the formulas alone: explicit loops, one batch that holds everything.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ups_eval.builtin_metrics import METRICS, create_metric

Array = NDArray[np.float64]


def _root_mean_square(values: Array) -> float:
    return math.sqrt(float(np.mean(values**2)))


def _frames(array: Array) -> list[tuple[int, int, int]]:
    return [
        (b, t, c) for b in range(array.shape[0]) for t in range(array.shape[1]) for c in range(array.shape[2])
    ]


def rmse(p: Array, y: Array) -> float:
    return float(np.mean([_root_mean_square(p[i] - y[i]) for i in _frames(y)]))


def nrmse(p: Array, y: Array) -> float:
    return float(np.mean([_root_mean_square(p[i] - y[i]) / _root_mean_square(y[i]) for i in _frames(y)]))


def vrmse(p: Array, y: Array) -> float:
    return float(
        np.mean([math.sqrt(np.mean((p[i] - y[i]) ** 2) / (np.var(y[i], ddof=1) + 1e-7)) for i in _frames(y)])
    )


def rel_l2(p: Array, y: Array) -> float:
    return float(np.mean([np.sqrt(np.sum((p[b] - y[b]) ** 2) / np.sum(y[b] ** 2)) for b in range(len(y))]))


def crmse(p: Array, y: Array) -> float:
    values = []
    for t in range(y.shape[1]):
        for c in range(y.shape[2]):
            sums = [p[b, t, c].sum() - y[b, t, c].sum() for b in range(len(y))]
            values.append(math.sqrt(np.mean(np.square(sums))) / y[0, t, c].size)
    return float(np.mean(values))


def max_error(p: Array, y: Array) -> float:
    return float(np.mean([np.abs(p[:, t, c] - y[:, t, c]).max() for _, t, c in _frames(y[:1])]))


def brmse(p: Array, y: Array) -> float:
    values = []
    for i in _frames(y):
        e = p[i] - y[i]
        if e.ndim == 1:
            values.append(math.sqrt((e[0] ** 2 + e[-1] ** 2) / 2))
        elif e.ndim == 2:
            edges = [e[0, :], e[-1, :], e[:, 0], e[:, -1]]
            values.append(
                math.sqrt(sum(np.sum(edge**2) for edge in edges) / (2 * e.shape[0] + 2 * e.shape[1]))
            )
        else:
            nx, ny, nz = e.shape
            faces = [e[0], e[-1], e[:, 0], e[:, -1], e[:, :, 0], e[:, :, -1]]
            cells = 2 * (ny * nz + nx * nz + nx * ny)
            values.append(math.sqrt(sum(np.sum(face**2) for face in faces) / cells))
    return float(np.mean(values))


def _spectrum(error: Array) -> Array:
    """|ΔF_k|² of one field, per wavenumber or shell."""
    if error.ndim == 1:
        n = len(error)
        x = np.arange(n)
        return np.array([abs(sum(error * np.exp(-2j * np.pi * k * x / n))) ** 2 for k in range(n // 2 + 1)])
    transform = np.fft.fftn(error)
    bins = np.zeros(min(error.shape) // 2)
    for index in np.ndindex(*(n // 2 for n in error.shape)):
        shell = math.floor(math.sqrt(sum(i**2 for i in index)))
        if shell < len(bins):
            bins[shell] += abs(transform[index]) ** 2
    return bins


def frmse(p: Array, y: Array, low: int, high: int | None) -> float:
    values = []
    for t in range(y.shape[1]):
        for c in range(y.shape[2]):
            power = np.mean([_spectrum(p[b, t, c] - y[b, t, c]) for b in range(len(y))], axis=0)
            values.append(np.sqrt(power)[low:high] / y[0, t, c].size)
    return float(np.mean(values)) if np.size(values) else math.nan


REFERENCE = {
    "rmse": rmse,
    "nrmse": nrmse,
    "crmse": crmse,
    "brmse": brmse,
    "max_error": max_error,
    "frmse_low": lambda p, y: frmse(p, y, 0, 4),
    "frmse_mid": lambda p, y: frmse(p, y, 4, 12),
    "frmse_high": lambda p, y: frmse(p, y, 12, None),
    "rel_l2": rel_l2,
    "vrmse": vrmse,
}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and target of one random shape, float64, no vanishing channel."""
    space = draw(
        st.one_of(
            st.tuples(st.integers(2, 33)),
            st.tuples(st.integers(2, 14), st.integers(2, 30)),
            st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 10)),
        )
    )
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3)), *space)
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([1e-3, 1.0, 50.0]))
    target = generator.normal(size=shape) * scale + draw(st.sampled_from([0.0, scale]))
    prediction = target + generator.normal(size=shape) * 0.3 * scale
    return torch.from_numpy(prediction), torch.from_numpy(target)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=15, deadline=None)
@given(pair=pairs())
def test_agrees_with_the_numpy_version(name: str, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = pair
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](prediction.numpy(), target.numpy())
    assert float(create_metric(name)(prediction, target)) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=10, deadline=None)
@given(pair=pairs(), cuts=st.lists(st.integers(0, 5), max_size=3))
def test_neither_batching_nor_merging_processes_changes_it(
    name: str, pair: tuple[torch.Tensor, torch.Tensor], cuts: list[int]
) -> None:
    """Uneven batches, one metric per 'rank', states merged as DDP would merge them."""
    prediction, target = pair
    edges = sorted({0, *(min(cut, len(target)) for cut in cuts), len(target)})
    ranks = []
    for begin, end in pairwise(edges):
        rank = create_metric(name)
        for i in range(begin, end):
            rank.update(prediction[i : i + 1], target[i : i + 1])
        ranks.append(rank)
    merged = ranks[0]
    for other in ranks[1:]:
        merged.merge_state(other)
    assert float(merged.compute()) == pytest.approx(
        float(create_metric(name)(prediction, target)), rel=1e-9, nan_ok=True
    )
