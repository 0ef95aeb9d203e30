"""The test scenes of promotions: drawn once, verified at every use, and seen by no run."""

from pathlib import Path

import pytest

from risexp.app.promotion.test_set import (
    expect_drawn,
    expect_unseen,
    load_test_set,
    scenes_of,
    sets_home,
)
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.freezing import freeze, scene_request
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, Split
from risexp.errors import DataInvalid
from tests.support.frozen_sets import contents, edited, ignored, sealed
from tests.support.trainers import small_config

SCENES = 300
SPLITS: tuple[Split, ...] = ("train", "validation", "calibration")


pytestmark = pytest.mark.usefixtures("own_home")


def config(**changes: object) -> RunConfig:
    return small_config(training__scenes_per_epoch=512, **changes)


def frozen(folder: Path, split: Split, law: RunConfig | None = None) -> Path:
    freeze(folder, scene_request(law or config(), split, SCENES), "cpu", ignored)
    return folder


def relabelled(folder: Path) -> Path:
    """The same scenes, labelled as the split test, with a digest that fits."""

    def change(manifest: dict[str, object]) -> None:
        manifest["split"] = "test"
        manifest["digest"] = sealed(manifest)

    edited(folder, change)
    return folder


def test_the_home_s_own_set_is_made_once_and_no_run_has_seen_it() -> None:
    first = load_test_set(config(), SCENES, None, ignored)
    before = contents(sets_home())

    again = load_test_set(config(), SCENES, None, ignored)
    expect_unseen(again, {"candidate": config()})

    assert (True, False) == (first.drawn, again.drawn)
    assert first.manifest == again.manifest
    assert before == contents(sets_home())
    assert ("test", SCENES) == (first.manifest.split, first.manifest.scenes)


def test_a_given_set_is_used_as_it_is(tmp_path: Path) -> None:
    folder = frozen(tmp_path / "given", "test")

    found = load_test_set(config(), 5000, folder, ignored)

    assert (folder, SCENES, False) == (found.folder, found.manifest.scenes, found.drawn)
    assert SCENES == sum(map(len, found.batches()))
    assert not sets_home().exists()


def test_a_damaged_set_and_one_of_another_split_or_law_are_refused(tmp_path: Path) -> None:
    damaged = frozen(tmp_path / "damaged", "test")
    y = damaged / "shard-00000" / "y.npy"
    y.write_bytes(y.read_bytes()[:-1] + b"\x7f")
    for folder, sentence in (
        (damaged, r"shard-00000/y\.npy"),
        (frozen(tmp_path / "split", "train"), "holds scenes of the split train"),
        (frozen(tmp_path / "snr", "test", config(data__snr_db=[0.0, 10.0])), "another law than"),
        (frozen(tmp_path / "seed", "test", config(data__seed=5)), "another law than the candidate"),
    ):
        with pytest.raises(DataInvalid, match=sentence):
            load_test_set(config(), SCENES, folder, ignored)


@pytest.mark.parametrize("split", SPLITS)
def test_a_relabelled_set_is_known_by_its_scenes(split: Split, tmp_path: Path) -> None:
    found = load_test_set(config(), SCENES, relabelled(frozen(tmp_path / "given", split)), ignored)

    for name in ("candidate", "champion"):
        with pytest.raises(DataInvalid, match=f"of the {split} scenes of the {name}"):
            expect_unseen(found, {"other": config(data__seed=7), name: config()})


def test_training_scenes_are_known_from_any_block_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(SceneGenerator):
        def scenes(self, split: Split, start: int, count: int) -> Scenes:
            return super().scenes(split, start + 9 * BLOCK, count)

    monkeypatch.setattr("risexp.data.freezing.SceneGenerator", Later)
    folder = relabelled(frozen(tmp_path / "given", "train"))
    found = load_test_set(config(), SCENES, folder, ignored)

    expect_unseen(found, {"candidate": config()})
    with pytest.raises(DataInvalid, match="256 scenes or streams of the train scenes"):
        expect_unseen(found, {"candidate": config(training__epochs=20)})


@pytest.mark.parametrize("first", [0, 1])
def test_a_given_set_holds_what_its_law_draws_for_tests(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(SceneGenerator):
        def scenes(self, split: Split, start: int, count: int) -> Scenes:
            return super().scenes(split, start + first, count)

    sound = load_test_set(config(), SCENES, frozen(tmp_path / "sound", "test"), ignored)
    monkeypatch.setattr("risexp.data.freezing.SceneGenerator", Later)
    folder = relabelled(frozen(tmp_path / "given", "train"))
    found = load_test_set(config(), SCENES, folder, ignored)

    expect_drawn(sound, config())
    with pytest.raises(DataInvalid, match="does not hold what the split test"):
        expect_drawn(found, config())


def test_a_run_uses_as_many_scenes_as_it_trains_on() -> None:
    law = config(training__epochs=20)

    assert 20 * 512 == scenes_of(law)["train"]
    assert 512 == scenes_of(law.replace({"training.repeat": True}))["train"]
