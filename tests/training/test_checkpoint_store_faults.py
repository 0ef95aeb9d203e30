"""Checkpoints under damage: it is seen, set aside, and a sound one is found."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.errors import CheckpointDamaged
from risexp.training.checkpoint_manifest import committed, unpacked
from risexp.training.checkpoint_store import best, newest
from tests.support.checkpoint_stores import (
    OWNER,
    chosen,
    epoch_found,
    fifth_is_best,
    filled,
    five_epochs,
    names,
)
from tests.support.trainers import same_state

DAMAGE = ("flip", "truncate", "delete", "lengthen", "empty")


def damage(path: Path, kind: str, place: float) -> None:
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    match kind:
        case "flip":
            content[at] ^= 1 << int(place * 1e6) % 8
        case "truncate":
            del content[at:]
        case "lengthen":
            content += b" "
        case "empty":
            content.clear()
    path.unlink()
    if kind != "delete":
        path.write_bytes(content)


def damage_tensors(folder: Path, epoch: int, kind: str = "flip", place: float = 0.9) -> None:
    damage(next(folder.glob(f"epoch-{epoch:06d}-*.safetensors")), kind, place)


def assert_damage_is_seen(folder: Path, rng: random.Random) -> None:
    """Damage one file of the newest checkpoint: the one before it must be found."""
    store = filled(folder, five_epochs()[:2])
    files = sorted(store.folder.glob("epoch-000002*"))
    kind, path = rng.choice(DAMAGE), rng.choice(files)
    damage(path, kind, rng.random())

    found = newest([store.folder], OWNER)

    assert 3 == len(files)
    assert found.checkpoint is not None, (kind, path.name)
    assert same_state(five_epochs()[0].state, found.checkpoint.state), (kind, path.name)
    assert 1 == len(found.damaged), (kind, path.name)
    assert (1,) == committed(store.folder)


@pytest.mark.fault("F10")
def test_damage_to_any_file_is_seen_and_the_one_before_is_used(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("injected", 19)
    for seed in range(20):
        assert_damage_is_seen(tmp_path / str(seed), random.Random(seed))  # noqa: S311


@pytest.mark.fault("F10")
@pytest.mark.slow
def test_a_thousand_damages_are_seen(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("injected", 999)
    rng = random.Random(1000)  # noqa: S311
    for index in range(1000):
        assert_damage_is_seen(tmp_path / str(index), rng)


def test_damaged_files_are_renamed_and_never_deleted_nor_pruned(tmp_path: Path) -> None:
    store = filled(tmp_path, five_epochs()[:2])
    tensors = next(store.folder.glob("epoch-000002-*.safetensors"))
    for place in (0.5, 0.25):
        damage(tensors, "truncate", place)
        assert 1 == epoch_found(store.folder)
        store.save(five_epochs()[1])

    corrupt = sorted(path.name for path in store.folder.glob(f"{tensors.name}.corrupt*"))

    assert [f"{tensors.name}.corrupt", f"{tensors.name}.corrupt-2"] == corrupt
    sizes = [(store.folder / name).stat().st_size for name in corrupt]
    assert sizes[0] == pytest.approx(2 * sizes[1], abs=2)
    assert 2 == epoch_found(store.folder)
    damage(store.folder / "epoch-000002.manifest.json", "flip", 0.5)
    before = {path for path in names(store.folder) if "000002" in path}
    store.save(five_epochs()[2])
    assert before <= set(names(store.folder))


def test_a_manifest_of_another_checkpoint_is_damage(tmp_path: Path) -> None:
    folder = filled(tmp_path, five_epochs()[:2]).folder
    text = (folder / "epoch-000001.manifest.json").read_bytes()
    (folder / "epoch-000002.manifest.json").write_bytes(text)

    with pytest.raises(CheckpointDamaged, match="that of another checkpoint"):
        unpacked(folder, 2)


def test_the_choice_is_that_of_the_newest_sound_manifest_beside_a_damaged_last_one(
    tmp_path: Path,
) -> None:
    folder = filled(tmp_path).folder
    damage_tensors(folder, 5)
    assert (2, ()) == chosen(folder)
    damage(folder / "epoch-000005.manifest.json", "flip", 0.5)

    epoch, (sentence,) = chosen(folder)

    assert 2 == epoch
    assert "epoch-000005.manifest.json" in sentence
    assert sentence.endswith(": set aside")
    assert (4, 2) == committed(folder)


def test_a_damaged_best_is_set_aside_then_missing_and_the_newest_is_used(tmp_path: Path) -> None:
    folder = filled(tmp_path).folder
    before = names(folder)
    damage_tensors(folder, 2)

    epoch, (damaged, used) = chosen(folder)

    assert 5 == epoch
    assert "does not have the checksum it was written with: set aside" in damaged
    assert "the checkpoint of epoch 5 is used in place of that of epoch 2" == used
    assert (5, 4) == committed(folder)
    assert before == [name.removesuffix(".corrupt") for name in names(folder)]
    assert 3 == sum(name.endswith(".corrupt") for name in names(folder))
    assert (5, ("the checkpoint of epoch 2 is missing", used)) == chosen(folder)


def test_a_damaged_best_that_is_the_last_gives_way_to_the_best_before_it(tmp_path: Path) -> None:
    folder = filled(tmp_path, fifth_is_best()).folder
    damage_tensors(folder, 5, "truncate", 0.5)

    epoch, sentences = chosen(folder)

    assert 2 == epoch
    assert "the checkpoint of epoch 2 is used in place of that of epoch 5" == sentences[-1]


def test_the_copy_of_an_earlier_attempt_stands_in_for_a_damaged_one(tmp_path: Path) -> None:
    first, second = (filled(tmp_path / name).folder for name in ("one", "two"))
    damage(next(second.glob("epoch-000002-*.json")), "empty", 0.0)

    found = best([first, second], OWNER)

    assert (2, 1) == (found.checkpoint.epoch, len(found.damaged))
    assert ((5, 4, 2), (5, 4)) == (committed(first), committed(second))


def test_where_no_checkpoint_is_sound_the_error_names_the_next_step(tmp_path: Path) -> None:
    folder = filled(tmp_path).folder
    for epoch in (2, 4, 5):
        damage_tensors(folder, epoch, place=0.5)

    with pytest.raises(
        CheckpointDamaged,
        match=r"no sound checkpoint is left in.*put a copy of it back, or resume the run, which",
    ):
        best([folder], OWNER)

    assert 9 == sum(name.endswith(".corrupt") for name in names(folder))


def test_files_replaced_between_two_reads_are_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training process saves the best epoch again, with its temperature."""
    store = filled(tmp_path)
    old = next(store.folder.glob("epoch-000002-*.json"))
    honest, calls = Path.read_bytes, list[Path]()

    def replaced(path: Path) -> bytes:
        if path == old and not calls:
            calls.append(path)
            store.save(replace(five_epochs()[1], temperature=1.7))
        return honest(path)

    monkeypatch.setattr(Path, "read_bytes", replaced)

    found = best([store.folder], OWNER)

    assert [old] == calls
    assert (2, 1.7, ()) == (found.checkpoint.epoch, found.checkpoint.temperature, found.damaged)
    assert (5, 4, 2) == committed(store.folder)


def test_files_pruned_between_two_reads_are_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = filled(tmp_path, five_epochs()[:4]).folder
    manifest = folder / "epoch-000004.manifest.json"
    honest = Path.read_bytes

    def pruned(path: Path) -> bytes:
        if path == manifest:
            manifest.unlink(missing_ok=True)
        return honest(path)

    monkeypatch.setattr(Path, "read_bytes", pruned)

    assert (2, ()) == chosen(folder)
