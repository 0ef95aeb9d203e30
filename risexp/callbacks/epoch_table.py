"""What is shown of an epoch: columns, the yardsticks above them, and a word where it counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from risexp.callbacks.chance_guard import one_answer, too_few, within_noise
from risexp.runs.metrics import scenes_per_s
from risexp.training.events import EpochEnded

Cells = Mapping[str, str]
"""What stands in a line, by heading; a heading that is left out is empty."""

FIRST: Final = ("epoch", "beta", "loss")
LAST: Final = ("k_acc", "success", "k_loc")
PACE: Final = ("scenes/s", "left")
REMARK: Final = "remark"
_WIDTHS: Final = {"epoch": 9, "beta": 4, "k_acc": 5, "k_loc": 6, "scenes/s": 8}
"""Where a value is wider than its heading and not as wide as that of a term."""
DEAD: Final = "at chance"
"""What is said of a count that no scene could tell from a guess."""

_YARDSTICKS: Final = (
    ("majority", "k_majority", None),
    ("NOMP", "k_nomp", "success_nomp"),
    ("reference", "k_reference", "success_reference"),
)
"""Name, and the scores that stand under `k_acc` and `success`."""


@dataclass(frozen=True)
class Layout:
    """Which columns fit; terms that do not are told apart from the table."""

    terms: tuple[str, ...]
    """That have a column."""
    others: tuple[str, ...]
    """That have none."""

    @property
    def headings(self) -> tuple[str, ...]:
        """Of all columns."""
        return (*FIRST, *self.terms, *LAST, REMARK)


_COUNTED: Final = frozenset({"k_acc", "k_majority", "scenes"})
"""Scores without which nothing is said of the count."""
_REMARK_WIDTH: Final = 26
_GAP: Final = 2


def widths(headings: Sequence[str]) -> dict[str, int]:
    """Characters of each column, whatever stands in it."""
    return {name: max(len(name), _WIDTHS.get(name, 7)) for name in headings}


def layout(terms: Sequence[str], width: int | None) -> Layout:
    """As many terms as the width bears, the first ones first; all where it is None."""
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
    found = {"epoch": str(plan.epoch), "beta": f"{plan.beta:.2f}" if plan.beta else "off"}
    found["loss"] = short(losses.total)
    found |= {name: short(value) for name, value in losses.raw.items()}
    for heading, name in (("k_acc", "k_acc"), ("success", "success_rate")):
        found |= {heading: f"{scores[name]:.3f}"} if name in scores else {}
    if "k_loc" in scores:
        found["k_loc"] = f"{scores['k_loc']:.3f}"
    found["scenes/s"] = f"{scenes_per_s(ended):,.0f}"
    found[REMARK] = ", ".join(remarks(ended))
    return found


def yardsticks(scores: Mapping[str, float], sources_max: int) -> list[Cells]:
    """The lines to compare with: a guess, one answer for all, the classical localiser, the data."""
    found: list[Cells] = [{"epoch": "chance", "k_acc": f"{1.0 / sources_max:.3f}"}]
    for name, count, success in _YARDSTICKS:
        line = {"epoch": name}
        for heading, score in (("k_acc", count), ("success", success)):
            if score is not None and score in scores:
                line[heading] = f"{scores[score]:.3f}"
        if len(line) > 1:
            found.append(line)
    return found


def warning(scores: Mapping[str, float]) -> str | None:
    """What a person has to know of the validation itself, said once."""
    return too_few(scores) if scores.keys() >= _COUNTED else None


def remarks(ended: EpochEnded) -> list[str]:
    """What a person should not have to read off the numbers."""
    scores = ended.scores
    said = []
    if scores.keys() >= _COUNTED and within_noise(scores):
        if too_few(scores) is None:
            said.append(DEAD)
        if "count_entropy" in scores and one_answer(scores):
            said.append("one answer")
    if ended.steps.refused:
        said.append(f"{len(ended.steps.refused)} refused")
    if ended.improved:
        said.append("best")
    return said


def short(value: float) -> str:
    """Four digits, in seven characters."""
    plain = f"{value:#.4g}".rstrip(".")
    return plain if len(plain) <= 7 else f"{value:.1e}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as a clock would show them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
