"""Style of all figures: sizes for a paper, colours that colour-blind readers tell apart."""

from typing import Any, Final

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Line = dict[str, Any]
"""Keyword arguments of a line in matplotlib."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito, safe for colour-blind readers; black and grey are for references."""
MARKERS = "os^Dvp"
STYLE: Final[dict[Any, Any]] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.columnspacing": 1.4,
    "legend.handlelength": 1.8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
_WIDTH_IN = 7.16
"""Two columns of a paper."""


def new_figure(height_in: float, width_in: float = _WIDTH_IN) -> Figure:
    """An empty figure that belongs to no window."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_style(place: int) -> Line:
    """Colour and dashes of one of up to eighteen lines that must be told apart."""
    dashes = ("-", (0, (5, 1)), (0, (1, 1)))[place // len(COLOURS) % 3]
    return {"color": COLOURS[place % len(COLOURS)], "ls": dashes, "lw": 1.3}


def count_along(axis: Axis) -> None:
    """Label an axis with whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True))
