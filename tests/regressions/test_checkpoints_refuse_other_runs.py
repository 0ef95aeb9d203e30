"""Once: a trial began with the weights of the one before, from a shared folder, loaded loosely."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from risexp.errors import CheckpointRefused
from risexp.training.checkpoint import config_tree
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest
from tests.support.trainers import checkpoints, small_config, small_network, small_trainer

SHA = small_config().sha()


def shared_folder(folder: Path) -> Path:
    """Where trial 1 left its checkpoints."""
    vault = CheckpointStore(folder, CheckpointOwner("trial-1", SHA))
    for checkpoint in checkpoints(2, run_id="trial-1"):
        vault.save(checkpoint)
    return folder


@pytest.mark.parametrize("look", [newest, best])
def test_another_trial_finds_no_weights_of_its_own_there(tmp_path: Path, look: object) -> None:
    folder = shared_folder(tmp_path)
    assert callable(look)

    with pytest.raises(CheckpointRefused, match="belongs to run 'trial-1', not to 'trial-2'"):
        look([folder], CheckpointOwner("trial-2", SHA))


def test_the_same_trial_under_another_configuration_is_refused(tmp_path: Path) -> None:
    folder = shared_folder(tmp_path)
    other = small_config(training__batch=32).sha()

    with pytest.raises(
        CheckpointRefused, match=f"under configuration {SHA[:12]}, not {other[:12]}"
    ):
        newest([folder], CheckpointOwner("trial-1", other))


def test_another_trials_checkpoint_overwrites_nothing(tmp_path: Path) -> None:
    folder = shared_folder(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (other,) = checkpoints(1, run_id="trial-2")

    with pytest.raises(CheckpointRefused):
        CheckpointStore(folder, CheckpointOwner("trial-1", SHA)).save(other)

    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_hash_is_that_of_what_the_checkpoint_says(tmp_path: Path) -> None:
    changed = config_tree(small_config(training__batch=32))
    (honest,) = checkpoints(1, run_id="trial-1")

    with pytest.raises(CheckpointRefused, match="configuration"):
        CheckpointStore(tmp_path, CheckpointOwner("trial-1", SHA)).save(
            replace(honest, config=changed)
        )


def test_weights_are_loaded_all_or_none(device: torch.device) -> None:
    (checkpoint,) = checkpoints(1)
    network = small_network(device)
    network.further = nn.Linear(2, 2).to(device)
    before = network.backbone.weight.detach().clone()

    with pytest.raises(CheckpointRefused, match=r"'further\.bias' are not in the checkpoint"):
        small_trainer(network=network, device=device, resumed=checkpoint.state)

    assert torch.equal(before, network.backbone.weight)


def test_the_run_itself_goes_on(tmp_path: Path) -> None:
    folder = shared_folder(tmp_path)

    found = newest([folder], CheckpointOwner("trial-1", SHA)).checkpoint

    assert found is not None
    assert 2 == found.epoch
