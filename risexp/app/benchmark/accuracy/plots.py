"""The figures of an accuracy table: scores over SNR, confusions, and how errors are spread."""

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from risexp.app.benchmark.accuracy.measure import AccuracyTable
from risexp.app.benchmark.figure_style import COLOURS, MARKERS, STYLE, Line, new_figure
from risexp.app.benchmark.results import score_ends
from risexp.evaluation.matching import TOLERANCE
from risexp.evaluation.scene_scores import Confusion

ScoreName = Literal["k_acc", "success_rate"]

_ACROSS = 4
"""Confusion matrices side by side."""
_POINTS = 300
"""Of a distribution's curve."""

_REFERENCE: Final[Line] = {"color": "black", "ls": "--", "lw": 1.1}
_BOUND: Final[Line] = {"color": "#666666", "ls": "-.", "lw": 1.1}
_CHANCE: Final[Line] = {"color": "#666666", "ls": ":", "lw": 1.1}
_TOLERANCE: Final[Line] = {"color": "#999999", "ls": "-", "lw": 0.7}
_SCORE_LINES: Final[Mapping[ScoreName, tuple[str, Mapping[str, tuple[str, Line]]]]] = {
    "k_acc": (
        "K accuracy",
        {
            "k_reference": ("detectability reference", _REFERENCE),
            "k_bound": ("bound, positions given", _BOUND),
            "k_chance": ("chance", _CHANCE),
        },
    ),
    "success_rate": (
        "success rate",
        {
            "success_reference": ("CRB, where detectable", _REFERENCE),
            "success_true_count": ("CRB, K given", _BOUND),
        },
    ),
}
"""Name of each score, with label and line of its references."""
_ERRORS: Final = (
    r"azimuth error $|\Delta\varphi|$ (deg)",
    r"elevation error $|\Delta\theta|$ (deg)",
    r"range error $|\Delta r|$ (m)",
)


def draw_scores(table: AccuracyTable) -> Figure:
    """K accuracy and success over SNR, with 95 % bands and what these scenes allow."""
    with rc_context(STYLE):
        figure = new_figure(3.5)
        panels = figure.subplots(1, 2, sharey=True)
        for panel, score in zip(panels, _SCORE_LINES, strict=True):
            _draw_score(panel, table, score)
            panel.tick_params(labelleft=True)
        _name_methods(figure, table, _styles(table))
        return figure


def draw_score(figure: Figure, table: AccuracyTable, score: ScoreName) -> None:
    """One of the two, alone on a figure."""
    _draw_score(figure.subplots(), table, score)
    _name_methods(figure, table, _styles(table))


def draw_confusions(table: AccuracyTable) -> Figure:
    """True against estimated counts, a panel a method: counts as text, shares as colours."""
    with rc_context(STYLE):
        across = min(len(table.rows), _ACROSS)
        down = -(-len(table.rows) // across)
        figure = new_figure(0.1 + 1.95 * down, 0.9 + 1.565 * across)
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        confusions = {name: row.pooled.confusion for name, row in table.rows.items()}
        ends = _ends_needed(list(confusions.values()))
        drawn = [
            _draw_confusion(panel, name, confusion, ends)
            for panel, (name, confusion) in zip(panels, confusions.items(), strict=False)
        ]
        for place, panel in enumerate(panels[: len(drawn)]):
            panel.set_xlabel("estimated K")
            panel.set_ylabel("true K" if place % across == 0 else "")
        for panel in panels[len(drawn) :]:
            panel.remove()
        label = "share of scenes with this K"
        figure.colorbar(drawn[0], ax=panels[: len(drawn)], label=label, aspect=15 * down, pad=0.02)
        return figure


def draw_errors(table: AccuracyTable) -> Figure:
    """Share of sources located within an error, and the share that the bound allows."""
    with rc_context(STYLE):
        figure = new_figure(2.75)
        panels = figure.subplots(1, 3, sharey=True)
        for axis, (panel, label) in enumerate(zip(panels, _ERRORS, strict=True)):
            _draw_spread(panel, table, axis)
            panel.set_xlabel(label)
        panels[0].set_ylabel("share of all sources")
        _name_methods(figure, table, _unmarked(table))
        below = [Line2D([], [], **style) for style in (_REFERENCE, _TOLERANCE)]
        names = ["Cramér-Rao bound", "tolerance of success"]
        figure.legend(below, names, loc="outside lower center", ncols=2)
        return figure


FIGURES: Final[Mapping[str, Callable[[AccuracyTable], Figure]]] = {
    "scores": draw_scores,
    "confusions": draw_confusions,
    "errors": draw_errors,
}
"""Functions that draw, by the stem of the figure's file."""


def _styles(table: AccuracyTable) -> list[Line]:
    """How each method is drawn, the same in all figures.

    Later lines lie above earlier ones and are thinner, so that equal answers show both.
    """
    widths = [max(2.0 - 0.25 * place, 0.9) for place in range(len(table.rows))]
    return [
        {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKERS[place % len(MARKERS)],
            # The seventh method begins the colours again.
            "ls": "-" if place < len(COLOURS) else (0, (5, 1)),
            "lw": width,
            "markersize": 2.2 + 1.4 * width,
        }
        for place, width in enumerate(widths)
    ]


def _unmarked(table: AccuracyTable) -> list[Line]:
    return [style | {"marker": ""} for style in _styles(table)]


def _name_methods(figure: Figure, table: AccuracyTable, styles: list[Line]) -> None:
    lines = [Line2D([], [], **style) for style in styles]
    columns = -(-len(lines) // -(-len(lines) // len(COLOURS)))
    figure.legend(lines, list(table.rows), loc="outside upper center", ncols=columns)


def _draw_score(axes: Axes, table: AccuracyTable, score: ScoreName) -> None:
    name, references = _SCORE_LINES[score]
    snr_db = [level.snr_db for level in table.levels]
    # A line through a single point would not be seen.
    across = snr_db if len(snr_db) > 1 else [snr_db[0] - 0.5, snr_db[0] + 0.5]
    ends = len(across) // len(snr_db)
    for reference, (label, style) in references.items():
        axes.plot(across, table.references[reference] * ends, label=label, **style)
    for row, style in zip(table.rows.values(), _styles(table), strict=True):
        points = [score_ends(interval, score) for interval in row.by_level]
        value, low, high = zip(*points, strict=True)
        axes.fill_between(across, low * ends, high * ends, color=style["color"], alpha=0.18, lw=0)
        axes.plot(snr_db, value, **style)
    axes.set(xlabel="SNR (dB)", ylabel=name, ylim=(-0.02, 1.02))
    if len(snr_db) <= 12:
        axes.set_xticks(snr_db)
    axes.grid(visible=True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)


def _ends_needed(confusions: list[Confusion]) -> tuple[bool, bool]:
    """True, True if some method answers no source, or more than K_MAX."""
    none = any(bool(confusion.none.any()) for confusion in confusions)
    return none, any(bool(confusion.beyond.any()) for confusion in confusions)


def _draw_confusion(
    axes: Axes, name: str, confusion: Confusion, ends: tuple[bool, bool]
) -> AxesImage:
    most = len(confusion.matrix)
    parts = [confusion.matrix]
    labels = [str(count) for count in range(1, most + 1)]
    if ends[0]:
        parts, labels = [confusion.none.unsqueeze(-1), *parts], ["0", *labels]
    if ends[1]:
        parts, labels = [*parts, confusion.beyond.unsqueeze(-1)], [*labels, f">{most}"]
    counts = torch.cat(parts, dim=-1)
    shares = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    image = axes.imshow(shares.tolist(), cmap="Blues", vmin=0.0, vmax=1.0)
    for row, values in enumerate(counts.tolist()):
        for column, value in enumerate(values):
            colour = "white" if float(shares[row, column]) > 0.55 else "black"
            axes.text(column, row, value, ha="center", va="center", color=colour, fontsize=6)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(most), [str(count) for count in range(1, most + 1)])
    axes.tick_params(length=0)
    axes.set_title(name, fontsize=8)
    return image


def _draw_spread(axes: Axes, table: AccuracyTable, axis: int) -> None:
    bound = torch.cat([level.deviation[..., axis].flatten() for level in table.levels])
    bound = bound[~bound.isnan()]
    errors = [
        torch.cat([scores.matching.errors[..., axis].flatten() for scores in row.scores]).abs()
        for row in table.rows.values()
    ]
    places = _places(bound, errors)
    for sizes, style in zip(errors, _unmarked(table), strict=True):
        known = sizes[~sizes.isnan()].sort().values
        within = torch.searchsorted(known, places, right=True) / len(bound)
        axes.plot(places.tolist(), within.tolist(), **style)
    allowed = [float(torch.erf(place / (math.sqrt(2.0) * bound)).mean()) for place in places]
    axes.plot(places.tolist(), allowed, **_REFERENCE)
    axes.axvline(TOLERANCE[axis], **_TOLERANCE)
    axes.set(xscale="log", xlim=(float(places[0]), float(places[-1])), ylim=(0.0, 1.02))
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True)


def _places(bound: Tensor, errors: list[Tensor]) -> Tensor:
    """Where the curves are evaluated: whole decades below, the largest error above."""
    largest = max(float(sizes.nan_to_num(nan=0.0).max()) for sizes in errors)
    small = float(bound.kthvalue(1 + len(bound) // 20).values)
    least = math.floor(math.log10(min(max(small, 1e-6), *TOLERANCE)))
    most = math.log10(max(largest, 2.0 * max(TOLERANCE)))
    return torch.logspace(least, most, _POINTS, dtype=torch.float64)
