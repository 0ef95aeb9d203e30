"""A checkpoint after every epoch, so that no later moment can cost more than the epoch it is in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_store import CheckpointStore
from risexp.training.events import EpochEnded, Event
from risexp.training.state import State


@dataclass(frozen=True)
class CheckpointCallback:
    """Commits every epoch it is told of; to be told after the guards, for sound epochs only."""

    vault: CheckpointStore
    config: Mapping[str, Any]
    """The canonical configuration as plain values."""
    state: Callable[[], State]
    """Of the trainer."""

    def __call__(self, event: Event) -> None:
        """Keep the run as it is after an epoch.

        Raises:
            EnvironmentFailed: The disk is full or forbidden; what was kept before stands.
        """
        if isinstance(event, EpochEnded):
            self.vault.save(
                Checkpoint(
                    run_id=self.vault.owner.run_id,
                    config=self.config,
                    plan=event.plan,
                    scores=event.scores,
                    state=self.state(),
                )
            )
