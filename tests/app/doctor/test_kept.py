"""What the folders of a search have to hold: values, ends and checkpoints; each fault is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore
from tests.support.homes import (
    change,
    check_of,
    folder_of,
    found,
    record_of,
    taken,
    the_study,
    trained,
    wrong,
)
from tests.support.trainers import checkpoints

pytestmark = pytest.mark.usefixtures("in_order")

DOCUMENTS = (
    "config.json",
    "plans.json",
    "labels.json",
    "journal.jsonl",
    "environment.json",
    "mlflow.json",
    "outcome.json",
)


def attempt() -> Path:
    """The checkpoints of the first trial."""
    (only,) = folder_of(0).attempts()
    return only


def change_a_value() -> None:
    change(
        "UPDATE trial_values SET value = 0.001 WHERE trial_id = "
        "(SELECT trial_id FROM trials WHERE number = 0)"
    )


def flip_a_bit() -> None:
    path = max(attempt().glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lose_the_best() -> None:
    first, *_, last = checkpoints(3, "toy-000")
    progress = replace(last.state.progress, best=first.state.progress.best)
    told = replace(last, state=replace(last.state, progress=progress))
    CheckpointStore(attempt(), CheckpointOwner("toy-000", last.config_sha)).save(told)


def remove_the_end() -> None:
    (folder_of(0).path / "outcome.json").unlink()


FAULTS: dict[str, tuple[Callable[[], object], str, str]] = {
    "a value is another one": (
        change_a_value,
        "scores",
        "trial 0 has value 0.001, and by its journal 3.25 is the best",
    ),
    "a bit is flipped": (
        flip_a_bit,
        "checkpoints",
        "does not have the checksum it was written with",
    ),
    "checkpoints are gone": (
        lambda: shutil.rmtree(attempt().parent),
        "checkpoints",
        "trial 0: it is complete, and no checkpoint of it is kept",
    ),
    "the best one is gone": (
        lose_the_best,
        "checkpoints",
        "trial 0: the checkpoint of epoch 1, its best, is missing",
    ),
    "a folder is gone": (
        lambda: shutil.rmtree(folder_of(0).path),
        "folders",
        "trial 0 is complete and has a run, and no folder of it can be read here",
    ),
    "an end is gone": (
        remove_the_end,
        "folders",
        "trial 0 is complete, and its folder does not say how it ended",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    plant, what, sentence = FAULTS[fault]
    plant()

    diagnosis = found()

    assert ({f"toy: {what}": "fail"}, 4) == (wrong(diagnosis), diagnosis.exit_code)
    assert sentence in " ".join(check_of(diagnosis, f"toy: {what}").details)


def test_a_damaged_checkpoint_is_named_and_stays_where_it_is() -> None:
    flip_a_bit()
    before = sorted(attempt().iterdir())

    found(fix=True)

    assert before == sorted(attempt().iterdir())
    assert 3 in committed(attempt())


def test_mending_leaves_a_finished_run_that_lost_its_end_as_it_was() -> None:
    remove_the_end()
    before = record_of(0)

    diagnosis = found(fix=True)

    after = record_of(0)
    assert ((), 4) == (diagnosis.done, diagnosis.exit_code)
    assert (before.info.status, before.data.tags) == (after.info.status, after.data.tags)


def test_checkpoints_of_a_trial_that_is_trained_are_not_judged() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        next(folder.attempts()[0].glob("*.safetensors")).unlink()

        assert {} == wrong(found())


@pytest.mark.parametrize("content", [None, b"{"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_missing_or_damaged_is_named(name: str, content: bytes | None) -> None:
    path = folder_of(0).path / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    for fix in (False, True):
        diagnosis = found(fix=fix)
        if (name, content, fix) == ("mlflow.json", None, True):
            assert {} == wrong(diagnosis)  # the run was found again, and sent
        else:
            assert wrong(diagnosis)
