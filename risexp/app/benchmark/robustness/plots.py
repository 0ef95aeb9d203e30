"""The figure of a robustness table: success and K accuracy by level, a panel a scenario."""

from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from risexp.app.benchmark.figure_style import COLOURS, MARKERS, STYLE, Line, new_figure
from risexp.app.benchmark.results import score_ends
from risexp.app.benchmark.robustness.measure import MethodAnswers, RobustnessRow, RobustnessTable

_ACROSS = 3
_SPREAD = 0.5
"""Part of a level's width over which methods and scores stand side by side."""
_SCORES: Final = {
    "success_rate": ("success rate", "-"),
    "k_acc": ("K accuracy", ":"),
}
"""Name and line of each score."""
_UNDISTURBED: Final = "#eeeeee"
_INK: Final = "#444444"


def draw_levels(table: RobustnessTable, snr_db: float) -> Figure:
    """Success rate and K accuracy with 95 % intervals at every level of every scenario."""
    outcomes = [row for row in table.outcomes if row.snr_db == snr_db]
    across = min(len(outcomes), _ACROSS)
    down = -(-len(outcomes) // across)
    with rc_context(STYLE):
        figure = new_figure(0.55 + 1.95 * down)
        panels = list(figure.subplots(down, across, sharey=True, squeeze=False).flat)
        for place, (panel, outcome) in enumerate(zip(panels, outcomes, strict=False)):
            _draw_outcome(panel, outcome)
            panel.set_ylabel("share of scenes" if place % across == 0 else "")
        for panel in panels[len(outcomes) :]:
            panel.remove()
        _name_lines(figure, table)
        return figure


def _draw_outcome(axes: Axes, outcome: RobustnessRow) -> None:
    levels = list(outcome.answers)
    here = levels.index(outcome.scenario.undisturbed)
    axes.axvspan(here - 0.5, here + 0.5, color=_UNDISTURBED, lw=0)
    methods = list(outcome.answers[levels[0]])
    lines = [(place, score) for place in range(len(methods)) for score in _SCORES]
    for rank, (place, score) in enumerate(lines):
        offset = _SPREAD * ((rank + 0.5) / len(lines) - 0.5)
        across = [level + offset for level in range(len(levels))]
        answers = [by_method[methods[place]] for by_method in outcome.answers.values()]
        values = _draw_intervals(axes, across, answers, score, place)
        # Only levels that are numbers are joined by a line.
        ordered = [k for k, level in enumerate(levels) if _is_number(level)]
        joined = [across[k] for k in ordered], [values[k] for k in ordered]
        axes.plot(*joined, color=_colour(place), ls=_SCORES[score][1], lw=1.0)
    axes.set_xticks(range(len(levels)), [level.replace(" ", "\n") for level in levels])
    axes.set(xlim=(-0.5, len(levels) - 0.5), ylim=(-0.03, 1.04), xlabel=outcome.scenario.axis)
    axes.set_title(outcome.name, fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=True, axis="y")


def _draw_intervals(
    axes: Axes, across: list[float], answers: list[MethodAnswers], score: str, place: int
) -> list[float]:
    points = [score_ends(answer.interval, score) for answer in answers]
    value = [here for here, _, _ in points]
    below = [max(here - low, 0.0) for here, low, _ in points]
    above = [max(high - here, 0.0) for here, _, high in points]
    axes.errorbar(
        across, value, yerr=(below, above), ls="", elinewidth=0.7, **_mark(place, score, 3.0)
    )
    return value


def _name_lines(figure: Figure, table: RobustnessTable) -> None:
    """Colours are methods, fillings are scores."""
    methods = [
        Line2D([], [], ls="", **_mark(place, "success_rate", 4.5))
        for place in range(len(table.methods))
    ]
    scores = [
        Line2D([], [], ls=dash, marker="o", ms=4.0, color=_INK, markerfacecolor=face)
        for face, (_, dash) in zip((_INK, "white"), _SCORES.values(), strict=True)
    ]
    handles = [*methods, *scores, Patch(color=_UNDISTURBED)]
    names = [*table.methods, *(name for name, _ in _SCORES.values()), "undisturbed"]
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 6))


def _mark(place: int, score: str, size: float) -> Line:
    """How a method's marker is drawn: full for success, empty for the count."""
    return {
        "color": _colour(place),
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": size,
        "markeredgewidth": 0.7,
        "markerfacecolor": _colour(place) if score == "success_rate" else "white",
    }


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True
