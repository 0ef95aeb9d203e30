"""All that a run needs to go on bit for bit, and the strict way to put it back."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.errors import CheckpointRefused
from risexp.training.progress import Progress


@dataclass(frozen=True)
class State:
    """A run between two epochs.

    It holds no state of a random generator: every draw of a run is named by its place.
    """

    weights: Mapping[str, Tensor]
    """The plain weights and buffers, with which training goes on."""
    averaged: Mapping[str, Tensor]
    """What is validated, kept and served; the plain ones where nothing is averaged."""
    balance: Mapping[str, Tensor]
    """What the loss has learned about its own terms."""
    optimizer: Mapping[str, Tensor]
    """Every moment by `<moment>.<parameter>`."""
    progress: Progress
    """Epochs and steps behind it, and the best epoch."""
    seed: int
    """Names every random draw of the run, together with epoch and batch."""


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy on the host that shares no memory with anything."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


@torch.no_grad()
def restore(target: Mapping[str, Tensor], source: Mapping[str, Tensor], what: str) -> None:
    """Write tensors into those of the same names, all of them and no others.

    Args:
        target: The tensors in use, which are written.
        source: What they become.
        what: Words for an error, e.g. `averaged weights`.

    Raises:
        CheckpointRefused: A name is missing or unknown, or a shape or type differs.
    """
    for name in sorted(target.keys() ^ source.keys()):
        side = "are not in the checkpoint" if name in target else "are not in this network"
        raise CheckpointRefused(f"the {what} {name!r} {side}: it was made by another network")
    for name, tensor in target.items():
        given = source[name]
        here, there = _kind(tensor), _kind(given)
        if here != there:
            raise CheckpointRefused(
                f"the {what} {name!r} are {there} in the checkpoint and {here} in this network"
            )
    for name, tensor in target.items():
        tensor.copy_(source[name])


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
