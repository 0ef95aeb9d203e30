"""The console view of a run: a live table in a terminal, else one aligned line per epoch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from risexp.callbacks.epoch_table import (
    DEAD,
    PACE,
    REMARK,
    Cells,
    Eta,
    cells,
    duration,
    layout,
    references,
    short,
    warning,
    widths,
)
from risexp.callbacks.run_loop import Callback
from risexp.runs.metrics import scenes_per_s
from risexp.training.events import EpochEnded, EpochStarted, Event, RunEnded, RunStarted
from risexp.training.plan import Plan

_SHOWN: Final = 8
"""Epochs in the live table."""


def view(console: Console, plans: Sequence[Plan], sources_max: int) -> Callback:
    """The callback that suits the console."""
    if console.quiet:
        return lambda _event: None
    terms = tuple({name: None for plan in plans for name in plan.active})
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console, terms, sources_max)
    return LineView(console.file, terms, sources_max)


@dataclass
class LineView:
    """Aligned lines, for pipes and logs; reference lines stand above the first epoch."""

    stream: IO[str]
    terms: tuple[str, ...]
    sources_max: int
    pace: Eta = field(default_factory=Eta)
    _phase: str = field(default="", init=False)
    _has_heading: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def __call__(self, event: Event) -> None:
        """Write the lines of an event."""
        self.pace(event)
        match event:
            case RunStarted(run_id=run_id, epochs=epochs, done=done):
                self._write(f"{run_id}: epochs {done + 1} to {epochs}")
            case EpochStarted(plan=plan) if plan.phase != self._phase:
                self._phase = plan.phase
                weights = ", ".join(f"{weight:g} {name}" for name, weight in plan.active.items())
                self._write(f"phase {plan.phase}: {weights}")
            case EpochEnded():
                self._write_epoch(event)
            case RunEnded(reason=reason):
                self._write(f"ended: {reason}")

    def _write_epoch(self, ended: EpochEnded) -> None:
        if not self._has_heading:
            self._has_heading = True
            if sentence := warning(ended.scores):
                self._write(sentence)
            self._write_cells({name: name for name in self._headings})
            for line in references(ended.scores, self.sources_max):
                self._write_cells(line)
        left = self.pace.left_s()
        ahead = {} if left is None else {"left": duration(left)}
        self._write_cells({**cells(ended), **ahead})

    @property
    def _headings(self) -> tuple[str, ...]:
        *columns, remark = layout(self.terms, None).headings
        return (*columns, *PACE, remark)

    def _write_cells(self, line: Cells) -> None:
        wide = widths(self._headings)
        parts = [f"{line.get(name, ''):>{wide[name]}}" for name in self._headings[:-1]]
        self._write("  ".join([*parts, line.get(REMARK, "")]).rstrip())

    def _write(self, text: str) -> None:
        """Write a line; if the reader has closed the pipe, the run goes on without it."""
        if self._closed:
            return
        try:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        except OSError:
            self._closed = True


class LiveView:
    """The progress of the current epoch above a table of the last epochs, redrawn in place."""

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
        """Keep an event; it is drawn with the next refresh."""
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
        """Title, progress and table."""
        parts: list[RenderableType] = [self._title(), self._progress()]
        if self._ended:
            parts += self._table()
        return Group(*parts)

    def _title(self) -> Text:
        words = [self._run_id]
        if self._plan is not None:
            beta = f"beta {self._plan.beta:.2f}" if self._plan.beta else "beta off"
            words += [f"phase {self._plan.phase}", beta]
        if self._reason:
            words.append(f"ended: {self._reason}")
        return Text("  ".join(words), style="bold", overflow="fold")

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

        def add(line: Cells, style: str) -> None:
            grid.add_row(*(line.get(name, "") for name in shown.headings), style=style)

        for line in references(last.scores, self._sources_max):
            add(line, "dim")
        grid.add_section()
        for ended in self._ended:
            line = cells(ended)
            best = "green" if ended.improved else ""
            add(line, "red" if DEAD in line[REMARK] else best)
        yield grid
        if sentence := warning(last.scores):
            yield Text(sentence, style="dim")
        raw = last.losses.raw
        if others := [f"{name} {short(raw[name])}" for name in shown.others if name in raw]:
            yield Text(
                f"also in the loss of epoch {last.plan.epoch}: {', '.join(others)}", style="dim"
            )
