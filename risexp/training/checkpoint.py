"""The state of a run, and the checkpoint that keeps it: safetensors and JSON, never code."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.config.section import one_sentence
from risexp.core.sealed import canonical_sha
from risexp.errors import CheckpointDamaged, CheckpointRefused
from risexp.training.plan import Plan
from risexp.training.progress import Progress

FORMAT: Literal["risexp-checkpoint-1"] = "risexp-checkpoint-1"


@dataclass(frozen=True)
class State:
    """A run between two epochs: all that it needs to go on bit for bit.

    It holds no state of a random generator: every draw of a run is named by its place.
    """

    weights: Mapping[str, Tensor]
    """The plain weights and buffers, with which training goes on."""
    averaged: Mapping[str, Tensor]
    """The weights that are validated, kept and served; the plain ones where nothing is averaged."""
    balance: Mapping[str, Tensor]
    """What the loss has learned about its own terms."""
    optimizer: Mapping[str, Tensor]
    """Every moment by `<moment>.<parameter>`."""
    progress: Progress
    """Epochs and steps behind it, and the best epoch."""
    seed: int
    """Names every random draw of the run, together with epoch and batch."""

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """The tensors by group."""
        groups = ("weights", "averaged", "balance", "optimizer")
        return {group: getattr(self, group) for group in groups}


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy on the host that shares no memory with anything."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


@torch.no_grad()
def restore(target: Mapping[str, Tensor], source: Mapping[str, Tensor], what: str) -> None:
    """Write tensors into those of the same names, all of them and no others.

    Raises:
        CheckpointRefused: A name is missing or unknown, or a shape or type differs.
    """
    for name in sorted(target.keys() ^ source.keys()):
        side = "are not in the checkpoint" if name in target else "are not in this network"
        raise CheckpointRefused(f"the {what} {name!r} {side}: it was made by another network")
    for name, tensor in target.items():
        here, there = _kind(tensor), _kind(source[name])
        if here != there:
            raise CheckpointRefused(
                f"the {what} {name!r} are {there} in the checkpoint and {here} in this network"
            )
    for name, tensor in target.items():
        tensor.copy_(source[name])


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


@dataclass(frozen=True)
class Checkpoint:
    """A run after one of its epochs: enough to go on from, to evaluate, and to serve."""

    run_id: str
    config: Mapping[str, Any]
    """The canonical configuration as plain values."""
    plan: Plan
    """The plan of the epoch: its beta is the one to evaluate and to serve with."""
    scores: Mapping[str, float]
    state: State
    temperature: float | None = None
    """Divides the logits of the count, once it was fitted on these very weights."""

    @property
    def config_sha(self) -> str:
        """The hash of the configuration, as it was written."""
        return canonical_sha(self.config)

    @property
    def epoch(self) -> int:
        """Epochs behind the run."""
        return self.state.progress.epoch

    @property
    def beta(self) -> float:
        """Share of the samples with which the weights were validated."""
        return self.plan.beta


class _Header(BaseModel):
    """The checkpoint without its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["risexp-checkpoint-1"] = FORMAT
    run_id: str
    config: dict[str, Any]
    plan: Plan
    scores: dict[str, float | None]
    progress: Progress
    seed: int
    temperature: float | None
    torch: str
    """Version that computed it; another one may not continue bit for bit."""
    threads: int
    """Threads that computed it; another number does not continue bit for bit."""


def config_tree(config: RunConfig) -> dict[str, Any]:
    """A configuration as a checkpoint holds it."""
    return config.hashed()


def encode(checkpoint: Checkpoint) -> tuple[bytes, bytes]:
    """The checkpoint as the bytes of a JSON header and of a safetensors file."""
    state = checkpoint.state
    scores = checkpoint.scores.items()
    header = _Header(
        run_id=checkpoint.run_id,
        config=dict(checkpoint.config),
        plan=checkpoint.plan,
        scores={name: value if math.isfinite(value) else None for name, value in scores},
        progress=state.progress,
        seed=state.seed,
        temperature=checkpoint.temperature,
        torch=torch.__version__,
        threads=torch.get_num_threads(),
    )
    named = {
        f"{group}/{name}": tensor
        for group, tensors in state.tensors().items()
        for name, tensor in tensors.items()
    }
    text = json.dumps(header.model_dump(mode="json"), indent=1, allow_nan=False)
    return text.encode(), safetensors.torch.save(named)


def decode(header: bytes, tensors: bytes) -> Checkpoint:
    """The checkpoint that `encode` wrote."""
    try:
        read = _Header.model_validate_json(header)
        named = safetensors.torch.load(tensors)
    except ValidationError as error:
        raise CheckpointDamaged(f"the header is none: {one_sentence(error)}") from None
    except SafetensorError as error:
        raise CheckpointDamaged(f"the tensors cannot be read: {error}") from None
    state = State(
        weights=_of_group(named, "weights"),
        averaged=_of_group(named, "averaged"),
        balance=_of_group(named, "balance"),
        optimizer=_of_group(named, "optimizer"),
        progress=read.progress,
        seed=read.seed,
    )
    scores = {name: math.nan if value is None else value for name, value in read.scores.items()}
    return Checkpoint(read.run_id, read.config, read.plan, scores, state, read.temperature)


def _of_group(named: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in named.items()
        if name.startswith(prefix)
    }
