"""Warm start: a run begins with the weights of another run's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from risexp.app.serving.resolve_model import config_of, resolve_checkpoint
from risexp.config.run import RunConfig
from risexp.errors import CheckpointRefused, ConfigInvalid
from risexp.runs.folder import RunFolder
from risexp.runs.journal import read_journal
from risexp.training.checkpoint import State
from risexp.training.checkpoint_manifest import packed

MEANING: Final = (
    "physics.wavelength_m",
    "physics.elements_h",
    "physics.elements_v",
    "physics.spacing_wavelengths",
    "physics.symbols",
    "data.sources_max",
    "data.phi_deg",
    "data.theta_deg",
    "data.range_m",
    "network.front",
    "network.width",
    "network.depth",
    "network.heads",
    "factors.kind",
    "count.kind",
    "count.path",
)
"""Fields that give weights their meaning: panel, view, network input and shape, and outputs."""

EVENT: Final = "warm-start"
"""Event of the journal's note on a warm start."""
_DIGEST: Final = "tensors_sha256"


@dataclass(frozen=True)
class WarmStart:
    """State to start from, and its origin."""

    state: State
    origin: Mapping[str, Any]
    """Run, epoch, configuration and checksum, as plain values."""

    def record(self, folder: RunFolder) -> None:
        """Note the origin in a run's journal; a run that begins again must begin with the same.

        Raises:
            CheckpointRefused: It began with other weights.
            EnvironmentFailed: The journal cannot be written.
        """
        before = recorded(folder)
        if before is None:
            folder.open_journal().note(0, EVENT, self.origin)
        elif before[_DIGEST] != self.origin[_DIGEST]:
            raise CheckpointRefused(
                f"{folder.run_id} began with epoch {before['epoch']} of {before['run']!r}, and "
                f"{self.origin['given']!r} is epoch {self.origin['epoch']} of "
                f"{self.origin['run']!r} by now, with other weights: start a new run"
            )


def warm_start(config: RunConfig) -> WarmStart | None:
    """Load the checkpoint that a configuration names, if any."""
    name = config.curriculum.warm_start
    if name is None:
        return None
    resolved = resolve_checkpoint(name)
    checkpoint = resolved.checkpoint
    expect_same_meaning(name, config_of(checkpoint), config)
    origin = {
        "given": name,
        "run": checkpoint.run_id,
        "epoch": checkpoint.epoch,
        "config_sha": checkpoint.config_sha,
        _DIGEST: packed(checkpoint)[0].tensors.sha256,
        "damaged": list(resolved.damaged),
    }
    return WarmStart(checkpoint.state, origin)


def expect_same_meaning(name: str, learned: RunConfig, ours: RunConfig) -> None:
    """Check that the weights of one configuration mean the same under ours."""
    before, now = learned.canonical().flat(), ours.canonical().flat()
    for path in MEANING:
        if before[path] != now[path]:
            raise ConfigInvalid(
                f"curriculum.warm_start = {name!r} was trained with {path} = {before[path]!r}, and "
                f"this run has {now[path]!r}: its weights would mean something else"
            )


def recorded(folder: RunFolder) -> Mapping[str, Any] | None:
    """Origin in a run's journal, if there is one."""
    if not folder.journal.exists():
        return None
    notes = (note for note in read_journal(folder.journal).notes if note.event == EVENT)
    return next((note.details for note in notes), None)
