"""What to cite for metrics."""

from __future__ import annotations

from ups_core import Citation

PROPER_SCORES = Citation(
    key="gneiting2007strictly",
    kind="article",
    title="Strictly Proper Scoring Rules, Prediction, and Estimation",
    author="Gneiting, Tilmann and Raftery, Adrian E.",
    journal="Journal of the American Statistical Association",
    volume="102",
    number="477",
    pages="359--378",
    year="2007",
    doi="10.1198/016214506000001437",
)
FAIR_SCORES = Citation(
    key="ferro2014fair",
    kind="article",
    title="Fair scores for ensemble forecasts",
    author="Ferro, Christopher A. T.",
    journal="Quarterly Journal of the Royal Meteorological Society",
    volume="140",
    number="683",
    pages="1917--1923",
    year="2014",
    doi="10.1002/qj.2270",
)
SPREAD = Citation(
    key="fortin2014why",
    kind="article",
    title="Why Should Ensemble Spread Match the RMSE of the Ensemble Mean?",
    author="Fortin, Vincent and Abaza, Mabrouk and Anctil, François and Turcotte, Richard",
    journal="Journal of Hydrometeorology",
    volume="15",
    number="4",
    pages="1708--1713",
    year="2014",
    doi="10.1175/JHM-D-14-0008.1",
)

_PDEBENCH = ("ups_data.citations:PDEBENCH",)
_SCORES = ("ups_eval.citations:PROPER_SCORES", "ups_eval.citations:FAIR_SCORES")
OF_METRICS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("rmse", "nrmse", "crmse", "brmse", "max_error", "frmse_low", "frmse_mid", "frmse_high"), _PDEBENCH
    ),
    "vrmse": ("ups_data.citations:THE_WELL",),
    "crps": _SCORES,
    "energy_score": _SCORES,
    "spread_skill": ("ups_eval.citations:SPREAD",),
}
"""Metric -> what defines it."""
