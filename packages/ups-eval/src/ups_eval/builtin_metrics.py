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


def create_metric(name: str) -> Metric:
    """A new metric of :data:`METRICS`, without a registry.

    Args:
        name: a key of :data:`METRICS`.

    Raises:
        KeyError: the metric is unknown.
    """
    metric: Metric = load_object(METRICS[name][0])()
    return metric
