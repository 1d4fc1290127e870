"""Power spectra and parity of predictions: which structure is lost, and where values are off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ups_eval.predictions import TaskPredictions
from ups_eval.report.style import INK, dress, legend, new_figure, to_svg
from ups_eval.spectral import power_spectrum

POINTS = 3000
"""Points of a parity plot."""


def spectrum_figure(task: TaskPredictions, colours: Mapping[str, str]) -> str:
    """Power over wavenumbers of the last frame as SVG, mean over stored trajectories, first channel.

    Of an ensemble the mean of its members' spectra: their mean field is smoother than any of them.
    """
    figure = new_figure(4.6, 2.9)
    axes = figure.subplots()
    truth = _spectrum(task.target)
    waves = np.arange(1, len(truth))
    axes.loglog(waves, truth[1:], color=INK, linewidth=3, alpha=0.35, label="truth")
    for model, prediction in task.predictions.items():
        members = task.members.get(model)
        fields = prediction if members is None else members.reshape(-1, *members.shape[2:])
        found = _spectrum(fields)
        if np.isfinite(found).all():
            style = "--" if model == "persistence" else "-"
            axes.loglog(waves, found[1:], color=colours[model], linewidth=1.3, linestyle=style, label=model)
    top = float(truth[1:].max(initial=0.0))
    if top > 0:  # float32 fields have nothing below that
        axes.set_ylim(bottom=max(1e-12 * top, 0.1 * float(truth[1:].min())), top=20 * top)
    channel = task.info.target_channels[0].name
    dress(axes, title=f"power of {channel}, last frame", x="wavenumber", grid=True)
    legend(axes)
    return to_svg(figure, f"power spectrum of the last frame of {task.info.name}: truth and models")


def _spectrum(fields: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of fields `(n, T, C, *S)`, `(K,)`."""
    last = torch.from_numpy(np.ascontiguousarray(fields[:, -1:, :1], dtype=np.float64))
    found: NDArray[np.float64] = power_spectrum(last).mean(dim=(0, 1, 2)).numpy()
    return found


def parity_figure(task: TaskPredictions, model: str, colours: Mapping[str, str]) -> str:
    """Predicted against true values of the last frame as SVG, all stored trajectories, first channel."""
    figure = new_figure(3.2, 2.9)
    axes = figure.subplots()
    truth, prediction = (fields[:, -1, 0].ravel() for fields in (task.target, task.predictions[model]))
    chosen = np.random.default_rng(0).permutation(len(truth))[:POINTS]
    low, high = float(truth.min()), float(truth.max())
    margin = 0.05 * (high - low) or 1.0
    axes.plot(truth[chosen], prediction[chosen], ".", markersize=1.6, color=colours[model], rasterized=True)
    axes.plot([low, high], [low, high], color=INK, linewidth=0.8, alpha=0.6)
    axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    channel = task.info.target_channels[0].name
    dress(axes, title=f"{channel}, last frame", x="truth", y=model)
    return to_svg(figure, f"predicted against true values of {task.info.name}, {len(chosen)} points")
