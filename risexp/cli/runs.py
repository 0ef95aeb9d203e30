"""Prints one run for `risexp show`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from risexp.cli.output import say, short, table
from risexp.cli.study_output import number

if TYPE_CHECKING:
    from risexp.app.show.run import RunSeen


def say_run(seen: "RunSeen") -> None:
    """Print a run in blocks of text, the most important first."""
    done, of = max(seen.by_epoch, default=0), len(seen.folder.plans())
    sha = seen.folder.config_sha[:12]
    say(f"run {seen.name}: {seen.state}, {done} of {of} epochs, config {sha}")
    if seen.outcome is not None:
        say(seen.outcome.sentence)
    _say_scores(seen)
    _say_confusion(seen)
    _say_differences(seen)
    _say_kept(seen)


def _say_scores(seen: "RunSeen") -> None:
    say("")
    if seen.best_epoch is None:
        say("no epoch was judged")
        return
    doubt = f"; the count is {seen.doubt}" if seen.doubt else ""
    scenes = int(seen.best.get("scenes", 0))
    k_loc = number(seen.best.get("k_loc"))
    say(f"best epoch {seen.best_epoch}: k_loc {k_loc} on {scenes:,} scenes{doubt}")
    rows = [(name, *map(number, values)) for name, *values in seen.beside()]
    table(["", "network", "chance", "NOMP", "reference"], rows)


def _say_confusion(seen: "RunSeen") -> None:
    confusion = seen.confusion
    if not confusion:
        return
    none, matrix = confusion["none"], confusion["matrix"]
    first = 0 if any(none) else 1
    say("")
    rows: list[Sequence[object]] = [
        (str(count), *[missed, *row][first:])
        for count, (missed, row) in enumerate(zip(none, matrix, strict=True), start=1)
    ]
    table(["true K, answered", *map(str, range(first, len(matrix) + 1))], rows)


def _say_differences(seen: "RunSeen") -> None:
    differences = seen.differences()
    base = f"preset {seen.preset}" if seen.preset else "the defaults"
    say("")
    if not differences:
        say(f"configured as {base}")
        return
    table(["field", base, seen.name], [(path, *map(short, v)) for path, v in differences.items()])


def _say_kept(seen: "RunSeen") -> None:
    say("")
    for attempt, epochs in seen.kept.items():
        kept = ", ".join(map(str, epochs)) or "none"
        say(f"checkpoints of {attempt}: epochs {kept}")
    faults = ", ".join(f"{name} {value:g}" for name, value in seen.faults.items())
    say(f"guards that saw something: {faults or 'none'}")
    if seen.page is None:
        say("MLflow: nothing was sent")
    else:
        unsent = f", {seen.unsent} lines not sent yet: risexp sync" if seen.unsent else ""
        say(f"MLflow: {seen.page[0]} store, {seen.page[1]}{unsent}")
    say(f"folder: {seen.folder.path}")
