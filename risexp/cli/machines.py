"""Command-line options of workers: how many, on which devices, and for how long."""

import os
import re
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


def resources(
    workers: int,
    gpus: str | None,
    per_gpu: int,
    timeout: str | None,
    trial_timeout: str | None,
    **same: Any,  # noqa: ANN401 - the options that `Resources` takes as they are
) -> dict[str, Any]:
    """The options of workers, as `Resources` takes them.

    Raises:
        InvalidInput: A time is invalid.
    """
    cards = [] if gpus is None else [card for card in gpus.split(",") if card]
    # As many as the GPUs hold; on CPUs one for each two cores, and one at least.
    default = len(cards) * per_gpu if cards else max(1, (os.cpu_count() or 2) // 2)
    return {
        "workers": workers or default,
        "gpus": cards,
        "timeout_s": _seconds("--timeout", timeout),
        "trial_timeout_s": _seconds("--trial-timeout", trial_timeout),
        **same,
    }


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{option} {text}: give a number and s, m or h, such as 2h")
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]
