"""Writes a comparison into a folder: JSON, curves, and the answers to fresh scenes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from risexp.app.benchmark.accuracy.document import accuracy_result
from risexp.app.benchmark.figure_style import STYLE, count_along, line_style, new_figure
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
    """Every run's curves with its best epoch, and the best run's references."""
    with rc_context({**STYLE, "text.parse_math": False}):
        figure = new_figure(5.2)
        panels = dict(zip(_CURVES, figure.subplots(2, 2).flat, strict=True))
        for key, axes in panels.items():
            for place, run in enumerate(runs):
                points = {epoch: each[key] for epoch, each in run.by_epoch.items() if key in each}
                style = line_style(place)
                axes.plot(list(points), list(points.values()), label=run.name, **style)
                if run.best_epoch in points:
                    best = points[run.best_epoch]
                    axes.plot(run.best_epoch, best, "o", color=style["color"])
            for level, name, dashes in _LEVELS.get(key, ()):
                if (value := runs[0].best.get(level.removeprefix("val/"))) is not None:
                    label = f"{name} of {runs[0].name}"
                    axes.axhline(value, label=label, color="#666666", ls=dashes, lw=0.9)
            axes.set(xlabel="epoch", ylabel=_CURVES[key])
            count_along(axes.xaxis)
            axes.grid(visible=True)
        named = panels["val/k_acc"].get_legend_handles_labels()
        figure.legend(*named, loc="outside upper center", ncols=3)
        return figure
