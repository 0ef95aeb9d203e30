from pathlib import Path

from risexp.callbacks.checkpoint import CheckpointCallback
from risexp.training.checkpoint import config_tree
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, newest
from risexp.training.events import EpochEnded
from risexp.training.trainer import Trainer
from tests.support.trainers import same_state, small_config, small_trainer

CONFIG = config_tree(small_config())
OWNER = CheckpointOwner("run-1", small_config().sha())


def keeper(folder: Path, trainer: Trainer, owner: CheckpointOwner = OWNER) -> CheckpointCallback:
    return CheckpointCallback(CheckpointStore(folder, owner), CONFIG, trainer.state)


def test_every_epoch_is_kept_as_it_ended(tmp_path: Path) -> None:
    trainer = small_trainer()
    keep = keeper(tmp_path, trainer)

    for event in trainer.run():
        keep(event)
        if isinstance(event, EpochEnded):
            kept = newest([tmp_path], OWNER).checkpoint
            assert kept is not None
            assert event.plan == kept.plan
            assert event.scores["k_loc"] == kept.scores["k_loc"]
            assert same_state(trainer.state(), kept.state)
