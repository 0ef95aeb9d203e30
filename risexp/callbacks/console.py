"""What a person sees of a run: a live table in a terminal, one aligned line an epoch elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from rich.console import Console

from risexp.callbacks.epoch_table import (
    PACE,
    REMARK,
    Cells,
    cells,
    duration,
    layout,
    warning,
    widths,
    yardsticks,
)
from risexp.callbacks.eta import Eta
from risexp.callbacks.live_table import LiveView
from risexp.callbacks.run_loop import Callback
from risexp.training.events import EpochEnded, EpochStarted, Event, RunEnded, RunStarted
from risexp.training.plan import Plan


def view(console: Console, plans: Sequence[Plan], sources_max: int) -> Callback:
    """The observer that suits what the console writes to."""
    if console.quiet:
        return _nobody
    terms = tuple({name: None for plan in plans for name in plan.active})
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console, terms, sources_max)
    return LineView(console.file, terms, sources_max)


def _nobody(_event: Event) -> None:
    """Nobody looks."""


@dataclass
class LineView:
    """Aligned lines, for pipes and logs; the yardsticks stand above the first epoch."""

    stream: IO[str]
    terms: tuple[str, ...]
    """Of the loss, in any epoch."""
    sources_max: int
    pace: Eta = field(default_factory=Eta)
    _phase: str = field(default="", init=False)
    _headed: bool = field(default=False, init=False)
    _gone: bool = field(default=False, init=False)

    def __call__(self, event: Event) -> None:
        """Say what is new."""
        self.pace(event)
        match event:
            case RunStarted(run_id=run_id, epochs=epochs, done=done):
                self._say(f"{run_id}: epochs {done + 1} to {epochs}")
            case EpochStarted(plan=plan) if plan.phase != self._phase:
                self._phase = plan.phase
                self._say(f"phase {plan.phase}: {weights_in_words(plan)}")
            case EpochEnded():
                self._tell(event)
            case RunEnded(reason=reason):
                self._say(f"ended: {reason}")

    def _tell(self, ended: EpochEnded) -> None:
        if not self._headed:
            self._headed = True
            if said := warning(ended.scores):
                self._say(said)
            self._line({name: name for name in self._headings})
            for line in yardsticks(ended.scores, self.sources_max):
                self._line(line)
        left = self.pace.left_s()
        ahead = {} if left is None else {"left": duration(left)}
        self._line({**cells(ended), **ahead})

    @property
    def _headings(self) -> tuple[str, ...]:
        *columns, remark = layout(self.terms, None).headings
        return (*columns, *PACE, remark)

    def _line(self, line: Cells) -> None:
        wide = widths(self._headings)
        parts = [f"{line.get(name, ''):>{wide[name]}}" for name in self._headings[:-1]]
        self._say("  ".join([*parts, line.get(REMARK, "")]).rstrip())

    def _say(self, text: str) -> None:
        """Whoever reads may leave; the run goes on, and its journal is the record."""
        if self._gone:
            return
        try:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        except OSError:
            self._gone = True


def weights_in_words(plan: Plan) -> str:
    """The terms of a phase's loss and what they weigh."""
    return ", ".join(f"{weight:g} {name}" for name, weight in plan.active.items())
