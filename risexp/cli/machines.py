"""The options that say who works on a study and for how long, and what they resolve to."""

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from risexp.errors import InvalidInput

Workers = Annotated[
    int, typer.Option(min=0, metavar="N", help="Processes; 0: one for each two cores.")
]
Gpus = Annotated[str | None, typer.Option(metavar="0,1", help="GPUs that the workers share.")]
PerGpu = Annotated[
    int, typer.Option("--trials-per-gpu", min=1, metavar="N", help="Workers on each GPU.")
]
Timeout = Annotated[
    str | None, typer.Option(metavar="2h", help="End after this time: 90s, 30m, 2h.")
]
TrialTimeout = Annotated[
    str | None,
    typer.Option(metavar="30m", help="End a trial that takes longer, all its attempts together."),
]
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")


def crew(
    workers: int,
    gpus: str | None,
    per_gpu: int,
    device: str,
    threads: int,
    tracking: str | None,
) -> dict[str, Any]:
    """Who works on a study and on what, as `Means` takes it."""
    cards = [] if gpus is None else [each for each in gpus.split(",") if each]
    return {
        "workers": workers or _workers(cards, per_gpu),
        "gpus": cards,
        "device": device,
        "threads": threads,
        "tracking": tracking,
    }


def times(timeout: str | None, trial_timeout: str | None) -> dict[str, Any]:
    """How long a study and each of its trials may take, as `Means` takes it.

    Raises:
        InvalidInput: One of them is no time.
    """
    return {
        "timeout_s": _seconds("--timeout", timeout),
        "trial_timeout_s": _seconds("--trial-timeout", trial_timeout),
    }


def _workers(cards: Sequence[str], per_gpu: int) -> int:
    """As many as the GPUs hold; on CPUs one for each two cores, and one at least."""
    return len(cards) * per_gpu if cards else max(1, (os.cpu_count() or 2) // 2)


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{option} {text}: give a number and s, m or h, such as 2h")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]
