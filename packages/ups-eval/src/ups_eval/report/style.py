"""How figures look: colours of models, light and dark themes, axes, and a figure as inline SVG.

Figures are built on `matplotlib.figure.Figure`, never on the global state of pyplot. Ink is drawn in a marker
colour that becomes `currentColor` in the SVG, so one figure suits a light and a dark page.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#010203"
"""Marker colour of text, axes and the truth; `currentColor` on the page."""

PALETTE = ("#2f7fd6", "#e08a1e", "#2a9d74", "#a05fd0", "#d6495f", "#8c7a3d")
"""Mid tones, legible on white and on near-black."""

PERSISTENCE = "#8b93a1"
"""Persistence is grey everywhere."""


@dataclass(frozen=True)
class Theme:
    """Colours of a raster image, which cannot follow the page."""

    ink: str
    paper: str


LIGHT = Theme(ink="#1d2430", paper="#ffffff")
DARK = Theme(ink="#d9dee7", paper="#171b22")


def model_colours(models: Sequence[str]) -> dict[str, str]:
    """One colour per model, the same in every figure and table of a page."""
    others = [model for model in dict.fromkeys(models) if model != "persistence"]
    colours = {model: PALETTE[i % len(PALETTE)] for i, model in enumerate(others)}
    return colours | {"persistence": PERSISTENCE}


def new_figure(width: float, height: float, paper: str = "none") -> Figure:
    """An empty figure, size in inches; :func:`dress` styles its axes."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor=paper)


def dress(
    axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: bool = False, ink: str = INK
) -> None:
    """Label axes and draw them in one ink."""
    axes.set_facecolor("none")
    axes.set_title(title, fontsize=9, color=ink, loc="left")
    axes.set_xlabel(x, fontsize=8, color=ink)
    axes.set_ylabel(y, fontsize=8, color=ink)
    axes.tick_params(which="both", colors=ink, labelsize=7.5, width=0.6)
    for name, spine in axes.spines.items():
        spine.set_color(ink)
        spine.set_linewidth(0.6)
        spine.set_visible(not grid or name in ("left", "bottom"))
    if grid:
        axes.grid(True, color=ink, alpha=0.15, linewidth=0.6)
        axes.set_axisbelow(True)


def legend(axes: Axes, ink: str = INK) -> None:
    """A frameless legend."""
    axes.legend(fontsize=7.5, frameon=False, labelcolor=ink)


def scale_values(axes: Axes, values: Sequence[float]) -> None:
    """Make the value axis logarithmic if the finite values are positive and span a factor of 3 or more."""
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) >= 3 * min(finite):
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, min(finite), max(finite))


def plain_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers, in narrow ranges also between powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:g}")
    narrow = high < 20 * low  # too few powers of ten to read values from them alone
    axis.set_major_formatter(plain)
    if narrow:
        axis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.set_minor_formatter(plain if narrow else NullFormatter())


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an `<svg>` element that scales with the page and uses its text colour as ink."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)  # attaches a backend without pyplot, so that no display is looked for
    buffer = io.StringIO()
    # A fixed salt and no date: the same figure always gives the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    # The XML prolog and the metadata name matplotlib's version and DTD; a page needs neither.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # Without width and height the element scales with its container, up to its natural size.
    width = float(re.search(r'viewBox="0 0 ([0-9.]+)', svg)[1])  # type: ignore[index]
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", svg, count=1)
    opening = f'<svg role="img" aria-label="{escape(description)}" style="max-width:{width:.0f}pt"'
    return svg.replace("<svg", opening, 1).replace(INK, "currentColor")
