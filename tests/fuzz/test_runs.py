"""Run folders: a damaged checkpoint is set aside, and any other damaged file is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import succeed
from tests.support.frozen_sets import contents
from tests.support.fuzzing import (
    VALUES,
    Tally,
    damaged_bytes,
    document_paths,
    one_folder,
    planted,
)
from tests.support.models import arrays

pytestmark = pytest.mark.fault("F20")

TRAIN = (
    "train -p smoke --device cpu --set training.epochs=2 --set training.scenes_per_epoch=64 "
    "--set validation.scenes=16 --set validation.calibration_scenes=16"
)
JOURNAL = "journal.jsonl"
FILES = (
    *("config.json", "environment.json", "labels.json", "outcome.json", "plans.json"),
    *("source.json", JOURNAL),
)
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


def show(tally: Tally, template: Path, name: str, content: bytes) -> None:
    """Show a run with another content of a file, which is mended or left as it is, and not lost."""
    (RUN / name).write_bytes(content)

    tally.submit("show run run --json", written="run/")

    after = contents(RUN)
    assert after[name] in {content, (template / name).read_bytes()}
    assert content in after.values()


@one_folder
@given(st.sampled_from(FILES), st.data())
def test_a_damaged_file(tally: Tally, template: Path, name: str, data: st.DataObject) -> None:
    fresh(template)

    show(tally, template, name, data.draw(damaged_bytes((RUN / name).read_bytes())))


@one_folder
@given(st.sampled_from(FILES), st.booleans(), st.data())
def test_other_values_in_a_file(
    tally: Tally, template: Path, name: str, spared: bool, data: st.DataObject
) -> None:
    fresh(template)
    if not spared:
        shutil.rmtree(RUN / "spares")
    whole = (RUN / name).read_bytes()
    lines = whole.splitlines() if name == JOURNAL else [whole]
    place = data.draw(st.integers(0, len(lines) - 1))
    tree = json.loads(lines[place])
    planted(tree, data.draw(st.sampled_from(document_paths(tree))), data.draw(VALUES))
    lines[place] = json.dumps(tree).encode()

    show(tally, template, name, b"\n".join(lines))
