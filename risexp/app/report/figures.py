"""Figures of a study's report, as SVG in the colours of the page."""

import io
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from pydantic import JsonValue

from risexp.app.benchmark.accuracy.plots import ScoreName, draw_score
from risexp.app.benchmark.figure_style import (
    COLOURS,
    STYLE,
    Line,
    count_along,
    line_style,
    new_figure,
)
from risexp.app.report.gather import ReportData
from risexp.app.show.run import RunSeen
from risexp.hpo.studies.table import TrialRow
from risexp.space.dimensions import Choice, Log

Point = tuple[float, float]

BLUE, ORANGE = COLOURS[:2]
_GREY: Final = "#888888"
_WIDE, _HIGH = 4.7, 3.1
_SMALL: Final = (2.3, 1.9)
_STYLE: Final = {
    **STYLE,
    "font.size": 9.0,
    "svg.fonttype": "none",
    # A study or an option may be called what a formula looks like.
    "text.parse_math": False,
}
_DROPPED: Final = re.compile(r"<(metadata|style)\b.*?</\1>", re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_NAMES: Final = re.compile(r'\b(id="|href="#|url\(#)')
_COLOURS: Final = {
    "#000000": "currentColor",
    "#e0e0e0": "var(--line)",
    "#666666": "var(--soft)",
}


def svg(name: str, about: str, draw: Callable[[Figure], None], size: tuple[float, float]) -> str:
    """Draw an SVG element, whose black parts take the page's colour; sizes are inches.

    `name` is unique on the page: letters, digits, hyphens; `about` has no `"`, `<` and `&`.
    """
    with rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser brings the letters that a font here may lack.
        warnings.filterwarnings("ignore", "Glyph")
        figure = new_figure(size[1], size[0])
        draw(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    body = _DROPPED.sub("", text[text.index("<svg") :])
    body = _TAG.sub(lambda tag: _of_page(tag[0], name), body)
    head, _, rest = body.partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{about}">{rest}'


def _of_page(tag: str, name: str) -> str:
    """Make the names of a tag unique, and its colours those of the page."""
    tag = _NAMES.sub(rf"\g<1>{name}-", tag)
    for colour, of_page in _COLOURS.items():
        tag = tag.replace(colour, of_page)
    return tag


def _plot(
    name: str,
    about: str,
    draw: Callable[[Axes], None],
    labels: tuple[str, str],
    size: tuple[float, float] = (_WIDE, _HIGH),
) -> str:
    """Draw one diagram over a grid, with labels of both axes; integers along epochs and trials."""

    def drawn(figure: Figure) -> None:
        axes = figure.subplots()
        draw(axes)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if labels[0] in {"epoch", "trial"}:
            count_along(axes.xaxis)
        axes.grid(visible=True)

    return svg(name, about, drawn, size)


def history(data: ReportData) -> str:
    """k_loc of each trial, and the best so far."""

    def draw(axes: Axes) -> None:
        top = _top(data)
        _scatter(axes, data, top, lambda row: row.number)
        steps = data.best_so_far()
        if steps:
            last = max(each.number for each in data.table.trials)
            numbers = [*(number for number, _ in steps), last]
            values = [*(value for _, value in steps), steps[-1][1]]
            axes.step(numbers, values, where="post", color=BLUE, lw=1.4, label="best so far")
        axes.legend(loc="upper right")

    return _plot("history", "k_loc of every trial, and the best so far", draw, ("trial", "k_loc"))


def curves(data: ReportData) -> str:
    """k_loc over epochs, a line a trial; pruned trials end in a cross."""

    def draw(axes: Axes) -> None:
        best = None if data.best is None else data.best.number
        lines, ends = defaultdict[str, list[Point]](list), defaultdict[str, list[Point]](list)
        for row in data.table.trials:
            points = [*data.reports.get(row.number, {}).items()]
            colour = BLUE if row.number == best else ORANGE if row.state == "pruned" else _GREY
            # A line a colour, with gaps: as lines a trial, a thousand take seconds to be drawn.
            lines[colour] += [*points, (math.nan, math.nan)]
            if colour != _GREY or len(points) == 1:
                ends[colour] += points[-1:]
        for colour, path in lines.items():
            style: Line = {"lw": 2.0, "zorder": 3} if colour == BLUE else {"lw": 0.9, "alpha": 0.8}
            axes.plot(*zip(*path, strict=True), color=colour, **style)
        for colour, path in ends.items():
            mark: Line = (
                {"marker": "x", "ms": 6, "mew": 1.6} if colour == ORANGE else {"marker": "o"}
            )
            axes.plot(*zip(*path, strict=True), ls="", color=colour, zorder=4, **{"ms": 4, **mark})
        axes.plot([], [], color=BLUE, lw=2.0, label="best")
        axes.plot([], [], color=_GREY, lw=0.9, label="others")
        axes.plot([], [], "x-", color=ORANGE, lw=0.9, label="ended early")
        axes.legend(loc="upper right")
        values = sorted(value for each in data.reports.values() for value in each.values())
        if values:
            low, top = values[0], values[(len(values) - 1) * 9 // 10]
            room = max(top - low, 0.1)
            axes.set_ylim(low - 0.05 * room, top + 0.1 * room)

    return _plot("curves", "k_loc over epochs, a line a trial", draw, ("epoch", "k_loc"))


def pareto(data: ReportData) -> str:
    """k_loc over time a scene, or over parameters, with the front as a line."""
    known, front = data.weighed(), data.front()
    costs, values = [each.cost for each in front], [each.k_loc for each in front]
    grey: Line = {"color": _GREY, "ms": 4}

    def draw(axes: Axes) -> None:
        axes.plot([each.cost for each in known], [each.k_loc for each in known], "o", **grey)
        axes.step(costs, values, where="post", color=BLUE, lw=1.3)
        axes.plot(costs, values, "o", color=BLUE, ms=6)
        for each in front:
            at = (each.cost, each.k_loc)
            axes.annotate(str(each.trial), at, xytext=(5, 4), textcoords="offset points")

    labels = ("ms a scene" if data.ms_per_scene else "parameters", "k_loc")
    return _plot("pareto", "k_loc over what a network costs", draw, labels)


def slices(data: ReportData) -> list[str]:
    """k_loc over every searched field, the most important first."""
    order = [*data.importance.shares]
    order += [path for path in data.spec.space.vary if path not in order]
    return [_slice(data, path, place) for place, path in enumerate(order)]


def losses(run: RunSeen) -> str:
    """Loss in training and validation over epochs, the best epoch marked."""

    def draw(axes: Axes) -> None:
        for key, label, colour in (
            ("loss/total", "training", ORANGE),
            ("val/loss", "validation", BLUE),
        ):
            points = {epoch: each[key] for epoch, each in run.by_epoch.items() if key in each}
            axes.plot(list(points), list(points.values()), color=colour, label=label)
        if run.best_epoch is not None:
            axes.axvline(run.best_epoch, color=_GREY, ls=":", label="best epoch")
        axes.legend()

    return _plot("losses", "loss of the best trial over epochs", draw, ("epoch", "loss"))


def terms(run: RunSeen) -> str:
    """Weighted terms of the loss over epochs."""
    by_name: dict[str, list[tuple[int, float]]] = {}
    for epoch, values in run.by_epoch.items():
        for key, value in values.items():
            if key.startswith("weighted/"):
                by_name.setdefault(key.removeprefix("weighted/"), []).append((epoch, value))

    def draw(axes: Axes) -> None:
        for place, (name, points) in enumerate(by_name.items()):
            axes.plot(*zip(*points, strict=True), label=name, **line_style(place))
        if by_name:
            axes.figure.legend(loc="outside upper center", ncols=3)

    labels = ("epoch", "weighted term of the loss")
    return _plot("terms", "weighted terms of the best trial's loss", draw, labels)


def accuracy(data: ReportData, score: ScoreName) -> str:
    """A score of the best network over SNR, beside NOMP, reference and chance."""
    table = data.accuracy
    if table is None:
        return ""
    name = score.replace("_", "-")
    about = f"{score} of the best network over SNR, beside NOMP, reference and chance"
    return svg(name, about, lambda figure: draw_score(figure, table, score), (_WIDE, 3.9))


def _slice(data: ReportData, path: str, place: int) -> str:
    dimension = data.spec.space.vary[path]
    options: Sequence[JsonValue] = dimension.options if isinstance(dimension, Choice) else ()

    def at(row: TrialRow) -> float | None:
        value = row.values.get(path)
        if path not in row.values:
            return None
        return float(options.index(value)) if options else float(str(value))

    def draw(axes: Axes) -> None:
        _scatter(axes, data, _top(data), at)
        if options:
            axes.set_xticks(range(len(options)), [str(each) for each in options])
            axes.set_xlim(-0.5, len(options) - 0.5)
            axes.tick_params(axis="x", labelrotation=0 if len(options) < 4 else 30)
        elif isinstance(dimension, Log):
            axes.set_xscale("log")
            # Less than two decades have too few powers of ten for the labels.
            fine = dimension.high < 100.0 * dimension.low
            axes.xaxis.set_major_locator(
                LogLocator(subs=(1.0, 3.0) if fine else (1.0,), numticks=4)
            )
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(path, fontsize=9.0)

    return _plot(f"slice-{place}", f"k_loc over {path}", draw, ("", ""), _SMALL)


def _scatter(
    axes: Axes, data: ReportData, top: float, at: Callable[[TrialRow], float | None]
) -> None:
    """Draw trials: complete ones filled, pruned ones hollow, too high ones at the top."""
    best = data.best
    kinds: Mapping[str, tuple[str, str, str]] = {
        "complete": (_GREY, _GREY, "complete"),
        "pruned": (ORANGE, "none", "pruned, so far"),
    }
    for state, (edge, face, label) in kinds.items():
        placed = [
            (x, y)
            for row in data.table.trials
            if row.state == state
            and (x := at(row)) is not None
            and (y := _reached(row)) is not None
        ]
        inside = [(x, y) for x, y in placed if y <= top]
        above = [(x, top) for x, y in placed if y > top]
        style: Line = {"ls": "", "mec": edge, "mfc": face, "ms": 4.5}
        axes.plot([x for x, _ in inside], [y for _, y in inside], marker="o", label=label, **style)
        axes.plot([x for x, _ in above], [y for _, y in above], marker="^", **style)
    if best is not None and best.value is not None and (x := at(best)) is not None:
        axes.plot(x, best.value, marker="*", color=BLUE, ms=10, ls="", label="best", zorder=4)


def _reached(row: TrialRow) -> float | None:
    return row.value if row.value is not None else row.k_loc


def _top(data: ReportData) -> float:
    """Top of the scale; worse trials are drawn on the edge."""
    known = sorted(y for row in data.table.trials if (y := _reached(row)) is not None)
    if not known:
        return 1.0
    most = known[0] + 4.0 * (known[len(known) // 2] - known[0])
    return max((each for each in known if each <= most), default=known[-1])
