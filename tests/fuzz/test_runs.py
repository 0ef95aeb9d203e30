"""Run folders: a damaged checkpoint is set aside, and any other damaged file is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import succeed
from tests.support.fuzzing import (
    VALUES,
    Tally,
    damaged_bytes,
    document_paths,
    one_folder,
    planted,
)
from tests.support.models import arrays

TRAIN = (
    "train -p smoke --device cpu --set training.epochs=2 --set training.scenes_per_epoch=64 "
    "--set validation.scenes=16 --set validation.calibration_scenes=16"
)
DOCUMENTS = ("config", "environment", "labels", "outcome", "plans", "source")
RUN = Path("run")
CHECKPOINTS = RUN / "checkpoints" / "attempt-01"
HEAD = 2000
"""Bytes of a checkpoint's file that are damaged."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        patch.setenv("RISEXP_TRACKING_URI", "off")
        succeed(TRAIN)
    (run,) = (home / "mlruns" / "runs").iterdir()
    return run


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> None:
    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4


def fresh(template: Path) -> None:
    """The run as it was."""
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.copytree(template, RUN)


@one_folder
@given(st.data())
def test_a_damaged_checkpoint(tally: Tally, template: Path, data: st.DataObject) -> None:
    """The other epoch is sound; with both damaged there is nothing to answer with."""
    fresh(template)
    for epoch, codes in ((1, [0]), (2, [0, 2])):
        files = sorted(CHECKPOINTS.glob(f"epoch-{epoch:06d}*.[jms]*"))
        path = data.draw(st.sampled_from(files), label=f"epoch {epoch}")
        sound = path.read_bytes()
        path.write_bytes(data.draw(damaged_bytes(sound[:HEAD])) + sound[HEAD:])

        tally.submit("predict run frames.npz --json", codes, written="run/checkpoints")


@one_folder
@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_damaged_document(tally: Tally, template: Path, name: str, data: st.DataObject) -> None:
    fresh(template)
    path = RUN / f"{name}.json"
    path.write_bytes(data.draw(damaged_bytes(path.read_bytes())))

    tally.submit("show run run --json")


@one_folder
@given(st.sampled_from(DOCUMENTS), st.data())
def test_other_values_in_a_document(
    tally: Tally, template: Path, name: str, data: st.DataObject
) -> None:
    fresh(template)
    path = RUN / f"{name}.json"
    tree = json.loads(path.read_bytes())
    planted(tree, data.draw(st.sampled_from(document_paths(tree))), data.draw(VALUES))
    path.write_text(json.dumps(tree), encoding="utf-8")

    tally.submit("show run run --json")
