"""Devices by the words of a command line."""

import re

import torch

from risexp.errors import ConfigInvalid, EnvironmentFailed


def device_named(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        ConfigInvalid: It is no name of a device.
        EnvironmentFailed: This machine has none of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    named = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if named is None:
        raise ConfigInvalid(f"--device {name!r} is no device to compute on: try cpu or cuda")
    if name != "cpu" and int(named[1] or 0) >= torch.cuda.device_count():
        raise EnvironmentFailed(f"this machine has no device {name}: use --device cpu")
    return torch.device(name)
