"""Writes a comparison into a folder: JSON, curves, and the answers to fresh scenes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from risexp.app.benchmark.accuracy.document import accuracy_result
from risexp.app.benchmark.figure_style import COLOURS, STYLE, Line, count_along, new_figure
from risexp.app.compare.compare import Comparison
from risexp.app.show.run import RunSeen

_FORMATS: Final = ("png", "svg")
_CURVES: Final[Mapping[str, str]] = {
    "val/k_loc": "k_loc",
    "val/k_acc": "K accuracy",
    "val/success_rate": "success rate",
    "val/loss": "validation loss",
}
_LEVELS: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "val/k_acc": (
        ("val/k_majority", "chance", ":"),
        ("val/k_nomp", "NOMP", "-."),
        ("val/k_reference", "reference", "--"),
    ),
    "val/success_rate": (
        ("val/success_nomp", "NOMP", "-."),
        ("val/success_reference", "reference", "--"),
    ),
}
"""Levels drawn beside a curve: key, name and line style."""


def write_files(comparison: Comparison, folder: Path) -> None:
    """Write compare.json and the curves; for answers also the files of `risexp eval --out`."""
    text = json.dumps(comparison.as_json(), indent=2, allow_nan=False)
    (folder / "compare.json").write_text(f"{text}\n", encoding="utf-8")
    figure = _draw_curves([run.seen for run in comparison.runs])
    for kind in _FORMATS:
        figure.savefig(folder / f"curves.{kind}", format=kind, dpi=200)
    if comparison.answers is not None:
        accuracy_result(comparison.answers.table).write(folder)


def _draw_curves(runs: list[RunSeen]) -> Figure:
    with rc_context({**STYLE, "text.parse_math": False}):
        figure = new_figure(5.2)
        panels = figure.subplots(2, 2).flat
        for (key, label), axes in zip(_CURVES.items(), panels, strict=True):
            for place, run in enumerate(runs):
                _draw_curve(axes, run, key, _style(place))
            for level, _, dashes in _LEVELS.get(key, ()):
                _draw_level(axes, runs[0], level, dashes)
            axes.set(xlabel="epoch", ylabel=label)
            count_along(axes.xaxis)
            axes.grid(visible=True)
        _add_legend(figure, runs)
        return figure


def _draw_curve(axes: Axes, run: RunSeen, key: str, style: Line) -> None:
    points = {epoch: values[key] for epoch, values in run.by_epoch.items() if key in values}
    axes.plot(list(points), list(points.values()), **style)
    best = {epoch: value for epoch, value in points.items() if epoch == run.best_epoch}
    axes.plot(list(best), list(best.values()), "o", color=style["color"])


def _draw_level(axes: Axes, run: RunSeen, key: str, dashes: str) -> None:
    value = run.best.get(key.removeprefix("val/"))
    if value is not None:
        axes.axhline(value, color="#666666", ls=dashes, lw=0.9)


def _add_legend(figure: Figure, runs: list[RunSeen]) -> None:
    lines = [Line2D([], [], **_style(place)) for place in range(len(runs))]
    names = [run.name for run in runs]
    for _, name, dashes in _LEVELS["val/k_acc"]:
        lines.append(Line2D([], [], color="#666666", ls=dashes, lw=0.9))
        names.append(f"{name} of {runs[0].name}")
    figure.legend(lines, names, loc="outside upper center", ncols=3)


def _style(place: int) -> Line:
    dashes = ("-", (0, (5, 1)), (0, (1, 1)))[place // len(COLOURS) % 3]
    return {"color": COLOURS[place % len(COLOURS)], "ls": dashes, "lw": 1.3}
