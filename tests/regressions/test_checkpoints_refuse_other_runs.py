"""Once: a trial began with the weights of the one before, from a shared folder, loaded loosely."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from risexp.errors import CheckpointRefused
from risexp.training.checkpoint import config_tree
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest
from tests.support.checkpoint_stores import OWNER, filled, five_epochs
from tests.support.trainers import small_config, small_network, small_trainer

OTHER = small_config(training__batch=32)
TRIAL_2 = CheckpointOwner("trial-2", OWNER.config_sha)


def test_another_trial_finds_no_weights_of_its_own_there(tmp_path: Path) -> None:
    folder = filled(tmp_path).folder

    for look in (newest, best):
        with pytest.raises(CheckpointRefused, match="belongs to run 'run-1', not to 'trial-2'"):
            look([folder], TRIAL_2)


def test_the_same_trial_under_another_configuration_is_refused(tmp_path: Path) -> None:
    folder, sha = filled(tmp_path).folder, OTHER.sha()

    with pytest.raises(
        CheckpointRefused, match=f"configuration {OWNER.config_sha[:12]}, not {sha[:12]}"
    ):
        newest([folder], replace(OWNER, config_sha=sha))


def test_a_checkpoint_of_another_run_or_configuration_overwrites_nothing(tmp_path: Path) -> None:
    store, checkpoint = filled(tmp_path), five_epochs()[4]
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}

    with pytest.raises(CheckpointRefused, match="belongs to run 'run-1', not to 'trial-2'"):
        CheckpointStore(store.folder, TRIAL_2).save(checkpoint)
    # The hash is that of what the checkpoint itself says.
    with pytest.raises(CheckpointRefused, match="configuration"):
        store.save(replace(checkpoint, config=config_tree(OTHER)))

    assert before == {path.name: path.read_bytes() for path in store.folder.iterdir()}


def test_weights_are_loaded_all_or_none(device: torch.device) -> None:
    network = small_network(device)
    network.further = nn.Linear(2, 2).to(device)
    before = network.backbone.weight.detach().clone()

    with pytest.raises(CheckpointRefused, match=r"'further\.bias' are not in the checkpoint"):
        small_trainer(network=network, device=device, resumed=five_epochs()[0].state)

    assert torch.equal(before, network.backbone.weight)
