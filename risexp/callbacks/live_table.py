"""The live view of a run, for a terminal: this epoch's progress over the last epochs' table."""

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from risexp.callbacks.epoch_table import (
    DEAD,
    REMARK,
    Cells,
    cells,
    duration,
    layout,
    short,
    warning,
    yardsticks,
)
from risexp.callbacks.eta import Eta
from risexp.runs.metrics import scenes_per_s
from risexp.training.events import EpochEnded, EpochStarted, Event, RunEnded, RunStarted
from risexp.training.plan import Plan

_SHOWN: Final = 8
"""Epochs in the table."""


class LiveView:
    """A table of the last epochs under the progress of this one, drawn anew in place."""

    def __init__(
        self, console: Console, terms: tuple[str, ...], sources_max: int, pace: Eta | None = None
    ) -> None:
        self._console = console
        self._terms = terms
        self._sources_max = sources_max
        self._pace = Eta() if pace is None else pace
        self._run_id = ""
        self._plan: Plan | None = None
        self._ended: list[EpochEnded] = []
        self._reason = ""
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
        )

    def __call__(self, event: Event) -> None:
        """Take in what is new; it is drawn with the next refresh."""
        self._pace(event)
        match event:
            case RunStarted(run_id=run_id):
                self._run_id = run_id
                self._live.start()
            case EpochStarted(plan=plan):
                self._plan = plan
            case EpochEnded():
                self._ended = [*self._ended, event][-_SHOWN:]
            case RunEnded(reason=reason):
                self._reason = reason
                self._live.stop()

    def render(self) -> RenderableType:
        """The whole picture."""
        parts: list[RenderableType] = [self._title(), self._progress()]
        if self._ended:
            parts += self._table()
        return Group(*parts)

    def _title(self) -> Text:
        said = [self._run_id]
        if self._plan is not None:
            beta = f"beta {self._plan.beta:.2f}" if self._plan.beta else "beta off"
            said += [f"phase {self._plan.phase}", beta]
        if self._reason:
            said.append(f"ended: {self._reason}")
        return Text("  ".join(said), style="bold", overflow="fold")

    def _progress(self) -> RenderableType:
        pace = self._pace
        left = pace.left_s()
        grid = Table.grid(padding=(0, 2))
        validating = pace.batch == pace.batches and not self._reason
        grid.add_row(
            f"epoch {pace.epoch}/{pace.epochs}",
            ProgressBar(total=pace.batches, completed=pace.batch, width=24),
            "validating" if validating else f"batch {pace.batch}/{pace.batches}",
            f"{scenes_per_s(self._ended[-1]):,.0f} scenes/s" if self._ended else "",
            "" if left is None or self._reason else f"{duration(left)} left",
        )
        return grid

    def _table(self) -> Iterable[RenderableType]:
        last = self._ended[-1]
        shown = layout(self._terms, self._console.width)
        grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for name in shown.headings:
            grid.add_column(name, justify="left" if name == REMARK else "right")
        for line in yardsticks(last.scores, self._sources_max):
            grid.add_row(*_row(shown.headings, line), style="dim")
        grid.add_section()
        for ended in self._ended:
            line = cells(ended)
            grid.add_row(*_row(shown.headings, line), style=_style(line, ended))
        yield grid
        if said := warning(last.scores):
            yield Text(said, style="dim")
        raw = last.losses.raw
        if others := [f"{name} {short(raw[name])}" for name in shown.others if name in raw]:
            yield Text(
                f"also in the loss of epoch {last.plan.epoch}: {', '.join(others)}", style="dim"
            )


def _row(headings: Iterable[str], line: Cells) -> list[str]:
    return [line.get(name, "") for name in headings]


def _style(line: Cells, ended: EpochEnded) -> str:
    if DEAD in line[REMARK]:
        return "red"
    return "green" if ended.improved else ""
