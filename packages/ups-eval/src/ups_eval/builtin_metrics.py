"""The metrics by name, with factory and summary; without torch, so that planning can list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ups_core.references import load_object

if TYPE_CHECKING:
    from torchmetrics import Metric

METRICS: dict[str, tuple[str, str]] = {
    "rmse": ("ups_eval.metrics:RMSE", "root mean square error, mean over frames and channels"),
    "nrmse": ("ups_eval.metrics:NRMSE", "RMSE of each frame relative to the frame's root mean square"),
    "crmse": ("ups_eval.metrics:CRMSE", "error of the spatial mean, which a conservation law conserves"),
    "brmse": ("ups_eval.metrics:BRMSE", "RMSE on boundary cells"),
    "max_error": ("ups_eval.metrics:MaxError", "largest absolute error in any sample and cell"),
    "frmse_low": ("ups_eval.spectral:LowFRMSE", "spectral error at wavenumbers 0 to 3"),
    "frmse_mid": ("ups_eval.spectral:MidFRMSE", "spectral error at wavenumbers 4 to 11"),
    "frmse_high": ("ups_eval.spectral:HighFRMSE", "spectral error at wavenumbers 12 and above"),
    "rel_l2": ("ups_eval.metrics:RelativeL2", "relative L2 norm over all frames, channels and cells at once"),
    "vrmse": ("ups_eval.metrics:VRMSE", "RMSE of each frame relative to its standard deviation (The Well)"),
}
"""Name -> (lazy factory, one-line summary), in the order of tables."""
PHYSICS_METRICS: dict[str, tuple[str, str]] = {
    "mean_drift": ("ups_eval.physics_metrics:MeanDrift", "drift of the mean, where it is conserved"),
    "l2_drift": ("ups_eval.physics_metrics:NormDrift", "drift of the L2 norm, where it is conserved"),
    "negative_share": ("ups_eval.physics_metrics:NegativeShare", "negative cells of positive channels"),
    "error_rate": ("ups_eval.physics_metrics:ErrorRate", "cells with another one of a channel's values"),
    "spectrum_error": ("ups_eval.ensemble_metrics:SpectrumError", "error of log10 power over wavenumbers"),
    "residual": ("ups_eval.physics_metrics:Residual", "residual of the equation, against its largest term"),
}
"""The same for properties of predicted fields."""
ENSEMBLE_METRICS: dict[str, tuple[str, str]] = {
    "crps": ("ups_eval.ensemble_metrics:CRPS", "fair CRPS of every point; one member's absolute error"),
    "energy_score": ("ups_eval.ensemble_metrics:EnergyScore", "fair energy score; one member's RMSE"),
    "spread_skill": ("ups_eval.ensemble_metrics:SpreadSkill", "spread of the members over the mean's RMSE"),
    "rank_chi2": ("ups_eval.ensemble_metrics:RankHistogram", "unevenness of the truth's rank among members"),
    "coverage_50": ("ups_eval.ensemble_metrics:Coverage50", "share of points in the 50 % interval"),
    "coverage_90": ("ups_eval.ensemble_metrics:Coverage90", "share of points in the 90 % interval"),
}
"""The same for metrics of ensembles."""


def create_metric(name: str) -> Metric:
    """A new metric of this module, without a registry.

    Args:
        name: a key of :data:`METRICS`, :data:`PHYSICS_METRICS` or :data:`ENSEMBLE_METRICS`.

    Raises:
        KeyError: the metric is unknown.
    """
    metric: Metric = load_object((METRICS | PHYSICS_METRICS | ENSEMBLE_METRICS)[name][0])()
    return metric
