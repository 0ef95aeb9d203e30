"""Writes a checkpoint after every epoch, so that a crash costs no more than one epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from risexp.training.checkpoint import Checkpoint, State
from risexp.training.checkpoint_store import CheckpointStore
from risexp.training.events import EpochEnded, Event


@dataclass(frozen=True)
class CheckpointCallback:
    """Saves every epoch; it comes after the guards, so that no epoch with a fault is saved."""

    store: CheckpointStore
    config: Mapping[str, Any]
    """The canonical configuration as plain values."""
    state: Callable[[], State]

    def __call__(self, event: Event) -> None:
        """Save the state at the end of an epoch."""
        if isinstance(event, EpochEnded):
            self.store.save(
                Checkpoint(
                    run_id=self.store.owner.run_id,
                    config=self.config,
                    plan=event.plan,
                    scores=event.scores,
                    state=self.state(),
                )
            )
