"""SNRs as they are written on the command line."""

from itertools import pairwise

from risexp.errors import ConfigInvalid

_LOUDEST_DB = 100.0
_MOST_LEVELS = 200


def snr_levels(text: str) -> tuple[float, ...]:
    """`a:b:c` from a to b, both included, in steps of c; or numbers with commas, in order.

    Raises:
        ConfigInvalid: It is neither, or nothing that scenes could be drawn at.
    """
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
    """To a thousandth, so that steps of 0.1 give 0.3 and not 0.30000000000000004; no -0."""
    return round(decibel, 3) + 0.0
