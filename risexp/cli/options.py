"""Options that several commands share, and how they are read."""

import os
import re
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from inspect import Signature, signature
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from risexp.errors import ConfigInvalid, InvalidInput

if TYPE_CHECKING:
    import torch

    from risexp.config.layers import Loaded


class RefineName(StrEnum):
    """Whether positions are refined to fit the measurements."""

    none = "none"
    measurement = "measurement"


def complete_space() -> list[str]:
    """Names of search spaces, for shell completion."""
    from risexp.space.files import space_paths

    return list(space_paths())


def complete_preset() -> list[str]:
    """Names of presets, for shell completion."""
    from risexp.config.layers import preset_names

    return list(preset_names())


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        metavar="NAME",
        autocompletion=complete_preset,
        help="A shipped configuration.",
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--config", "-c", metavar="FILE", help="YAML over the preset; may be repeated."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="FIELD=VALUE", help="One field; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="cpu, cuda or cuda:1; auto takes a GPU if there is one.")
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Number of torch threads.")]
TrackingTo = Annotated[
    str | None,
    typer.Option(
        "--tracking",
        metavar="URI",
        help="Where runs are recorded: a tracking server or database, embedded, or off; by "
        "default RISEXP_TRACKING_URI, else embedded.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its name or the path of its folder.")
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run: its name or the path of its folder; a checkpoint: one of its files or its "
        "folder; models:/NAME@ALIAS or models:/NAME/3; or the folder of a model.",
    ),
]
SpaceName = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        autocompletion=complete_space,
        help="A space: its name or the path of its file.",
    ),
]
OtherSpaceName = Annotated[
    str,
    typer.Argument(
        metavar="OTHER", autocompletion=complete_space, help="The space to compare with."
    ),
]
SpaceNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SPACE]...",
        autocompletion=complete_space,
        help="Names or paths; all spaces if none.",
    ),
]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        envvar="RISEXP_UI_HOSTS",
        show_envvar=False,
        help="Another host name of this machine; may be given again.",
    ),
]
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
_UNTIL = re.compile(r"k_loc\s*<\s*(-?\d+(?:\.\d+)?)")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")


def shared(
    read: Callable[..., object],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of `read` to a command, whose first argument is what `read` makes of them."""
    added = signature(read).parameters

    def decorated(run: Callable[..., None]) -> Callable[..., None]:
        @wraps(run, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
        def command(**options: Any) -> None:  # noqa: ANN401 - Typer has checked them
            run(read(**{name: options.pop(name) for name in added}), **options)

        _, *own = signature(run).parameters.values()
        # Typer reads the options of a command from its signature.
        command.__signature__ = Signature([*own, *added.values()])  # type: ignore[attr-defined]
        return command

    return decorated


def resolved(preset: Preset = None, config: Files = None, set_: Overrides = None) -> "Loaded":
    """The configuration from preset, files, environment and `--set`."""
    from risexp.config.layers import load_config

    return load_config(
        preset=preset, paths=config or (), environment=os.environ, overrides=set_ or ()
    )


def computing(device: Device = "auto", threads: Threads = 1) -> "torch.device":
    """The device to compute on, once torch has its number of threads."""
    import torch

    from risexp.app.run.machine import device_named

    torch.set_num_threads(threads)
    return device_named(device)


_LOUDEST_DB = 100.0
_MOST_LEVELS = 200


def snr_levels(text: str) -> tuple[float, ...]:
    """SNRs in dB: `a:b:c` from a to b inclusive in steps of c, or comma-separated numbers."""
    words = text.split(":")
    if len(words) not in (1, 3):
        raise ConfigInvalid(f"--snr {text!r} is neither first:last:step nor numbers with commas")
    if len(words) == 3:
        return _stepped(text, *(_decibel(text, word) for word in words))
    levels = tuple(sorted(_decibel(text, word) for word in text.split(",")))
    for one, next_ in pairwise(levels):
        if one == next_:
            raise ConfigInvalid(f"--snr {text!r} names {one:g} dB twice: once is enough")
    return levels


def _stepped(text: str, first: float, last: float, step: float) -> tuple[float, ...]:
    if step <= 0.0 or last < first:
        raise ConfigInvalid(
            f"--snr {text!r} leads nowhere: first <= last and a step of a thousandth dB or more"
        )
    count = round((last - first) / step)
    if abs(first + count * step - last) > 1e-6:
        raise ConfigInvalid(f"--snr {text!r} does not meet {last:g} in steps of {step:g}")
    if count >= _MOST_LEVELS:
        raise ConfigInvalid(f"--snr {text!r} names {count + 1} SNRs: at most {_MOST_LEVELS}")
    return tuple(_rounded(first + place * step) for place in range(count + 1))


def _decibel(text: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ConfigInvalid(f"--snr {text!r}: {word.strip()!r} is no number of dB") from None
    if not abs(value) <= _LOUDEST_DB:  # NaN too
        raise ConfigInvalid(f"--snr {text!r}: {word.strip()} dB is too far out: within ±100")
    return _rounded(value)


def _rounded(decibel: float) -> float:
    """Rounded to a thousandth, so that steps of 0.1 give 0.3; no -0."""
    return round(decibel, 3) + 0.0


def resources(
    workers: Workers = 0,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
) -> dict[str, Any]:
    """The numbers, places and time limits of workers, as `Resources` takes them."""
    cards = [] if gpus is None else [card for card in gpus.split(",") if card]
    # As many as the GPUs hold; on CPUs one for each two cores, and one at least.
    default = len(cards) * per_gpu if cards else max(1, (os.cpu_count() or 2) // 2)
    return {
        "workers": workers or default,
        "gpus": cards,
        "timeout_s": _seconds("--timeout", timeout),
        "trial_timeout_s": _seconds("--trial-timeout", trial_timeout),
        "device": device,
        "threads": threads,
        "tracking": tracking,
    }


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{option} {text}: give a number and s, m or h, such as 2h")
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def score_bound(text: str | None) -> float | None:
    """The bound of `--until`, such as `k_loc<4`."""
    if text is None:
        return None
    match = _UNTIL.fullmatch(text)
    if match is None:
        raise InvalidInput(f"--until {text}: give a bound of the score, such as 'k_loc<4'")
    return float(match[1])
