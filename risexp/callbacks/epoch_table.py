"""The table of epochs that is shown during a run: columns, reference lines, remarks, time left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from risexp.callbacks.learning_guards import one_answer, too_few, within_noise
from risexp.runs.metrics import scenes_per_s
from risexp.training.events import BatchEnded, EpochEnded, EpochStarted, Event, RunStarted

Cells = Mapping[str, str]
"""Texts of a line by heading; a missing heading is an empty cell."""

FIRST: Final = ("epoch", "beta", "loss")
LAST: Final = ("k_acc", "success", "k_loc")
PACE: Final = ("scenes/s", "left")
REMARK: Final = "remark"
_WIDTHS: Final = {"epoch": 9, "beta": 4, "k_acc": 5, "k_loc": 6, "scenes/s": 8}
"""Columns that are not as wide as a loss term."""
DEAD: Final = "at chance"
"""Remark on a count that is not better than a guess."""

_REFERENCES: Final = (
    ("majority", "k_majority", None),
    ("NOMP", "k_nomp", "success_nomp"),
    ("reference", "k_reference", "success_reference"),
)
"""Name, and the scores under `k_acc` and `success`."""
_COUNTED: Final = frozenset({"k_acc", "k_majority", "scenes"})
"""Scores without which there is no remark on the count."""
_REMARK_WIDTH: Final = 26
_GAP: Final = 2


@dataclass(frozen=True)
class Layout:
    """The columns that fit; the values of the other terms are listed below the table."""

    terms: tuple[str, ...]
    """Loss terms with a column."""
    others: tuple[str, ...]
    """Loss terms without one."""

    @property
    def headings(self) -> tuple[str, ...]:
        """Of all columns."""
        return (*FIRST, *self.terms, *LAST, REMARK)


def widths(headings: Sequence[str]) -> dict[str, int]:
    """Characters of each column."""
    return {name: max(len(name), _WIDTHS.get(name, 7)) for name in headings}


def layout(terms: Sequence[str], width: int | None) -> Layout:
    """As many terms as the width allows, the first ones first; all if it is None."""
    if width is None:
        return Layout(tuple(terms), ())
    fixed = widths((*FIRST, *LAST))
    left = width - sum(fixed.values()) - _GAP * len(fixed) - _REMARK_WIDTH
    shown: list[str] = []
    for name, wide in widths(terms).items():
        left -= wide + _GAP
        if left < 0:
            break
        shown.append(name)
    return Layout(tuple(shown), tuple(terms[len(shown) :]))


def cells(ended: EpochEnded) -> Cells:
    """The line of an epoch."""
    plan, losses, scores = ended.plan, ended.losses, ended.scores
    line = {"epoch": str(plan.epoch), "beta": f"{plan.beta:.2f}" if plan.beta else "off"}
    line["loss"] = short(losses.total)
    line |= {name: short(value) for name, value in losses.raw.items()}
    for heading, name in (("k_acc", "k_acc"), ("success", "success_rate"), ("k_loc", "k_loc")):
        if name in scores:
            line[heading] = f"{scores[name]:.3f}"
    line["scenes/s"] = f"{scenes_per_s(ended):,.0f}"
    line[REMARK] = ", ".join(remarks(ended))
    return line


def references(scores: Mapping[str, float], sources_max: int) -> list[Cells]:
    """The lines to compare with: a guess, one answer for all, the classical localiser, the data."""
    lines: list[Cells] = [{"epoch": "chance", "k_acc": f"{1.0 / sources_max:.3f}"}]
    for name, count, success in _REFERENCES:
        line = {"epoch": name}
        for heading, score in (("k_acc", count), ("success", success)):
            if score is not None and score in scores:
                line[heading] = f"{scores[score]:.3f}"
        if len(line) > 1:
            lines.append(line)
    return lines


def warning(scores: Mapping[str, float]) -> str | None:
    """A warning about the validation itself, to be shown once."""
    return too_few(scores) if scores.keys() >= _COUNTED else None


def remarks(ended: EpochEnded) -> list[str]:
    """Remarks on an epoch that are not obvious from its numbers."""
    scores = ended.scores
    found = []
    if scores.keys() >= _COUNTED and within_noise(scores):
        if too_few(scores) is None:
            found.append(DEAD)
        if "count_entropy" in scores and one_answer(scores):
            found.append("one answer")
    if ended.steps.refused:
        found.append(f"{len(ended.steps.refused)} refused")
    if ended.improved:
        found.append("best")
    return found


def short(value: float) -> str:
    """A number with four digits, in seven characters."""
    plain = f"{value:#.4g}".rstrip(".")
    return plain if len(plain) <= 7 else f"{value:.1e}"


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass
class Eta:
    """A callback that counts epochs and batches, and estimates the time left."""

    clock: Callable[[], float] = monotonic
    epochs: int = 0
    epoch: int = 0
    """The current epoch, or the last one."""
    batch: int = 0
    """Batches done in it."""
    batches: int = 1
    _since: float | None = field(default=None, init=False)
    _finished: int = field(default=0, init=False)
    _took_s: float = field(default=0.0, init=False)

    def __call__(self, event: Event) -> None:
        """Update the counters."""
        match event:
            case RunStarted(epochs=epochs, done=done, batches=batches):
                self.epochs, self.epoch, self.batches = epochs, done, batches
            case EpochStarted(plan=plan):
                self.epoch, self.batch, self._since = plan.epoch, 0, self.clock()
            case BatchEnded(batch=batch):
                self.batch = batch + 1
            case EpochEnded():
                self._took_s += self._elapsed_s()
                self._finished, self._since = self._finished + 1, None

    def left_s(self) -> float | None:
        """Seconds to the end of the run; None before the first batch."""
        in_epoch = self._since is not None
        ahead = self.epochs - self.epoch + in_epoch
        if self._finished > 0:
            epoch_s = self._took_s / self._finished
        elif in_epoch and self.batch > 0:
            epoch_s = self._elapsed_s() * self.batches / self.batch
        else:
            return None
        return max(ahead * epoch_s - self._elapsed_s(), 0.0)

    def _elapsed_s(self) -> float:
        return 0.0 if self._since is None else self.clock() - self._since
