"""The run whose checkpoints the tests of vaults save."""

import pytest

from risexp.training.checkpoint import Checkpoint
from tests.support.checkpoint_stores import five_epochs


@pytest.fixture
def run() -> tuple[Checkpoint, ...]:
    return five_epochs()
