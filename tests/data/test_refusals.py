"""Frozen sets refused: what is asked for is wrong, and nothing that was there is touched."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from risexp.data.frames import Scenes
from risexp.data.freezing import freeze, scene_request
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet
from risexp.data.streams import Split
from risexp.errors import ConfigInvalid, DataInvalid, EnvironmentFailed
from tests.support.frozen_sets import (
    SCENES,
    contents,
    frozen,
    ignored,
    interrupted,
    killed_early,
    request_of,
    smoke,
)

OTHERS = [
    (("data.seed=1",), SCENES, "config.data.seed is 0 there and 1 here"),
    ((), 11, "scenes is 10 there and 11 here"),
    (("data.snr_db=[0,20]",), SCENES, "config.data.snr_db is [-5.0, 20.0] there and [0.0, 20.0]"),
    (("physics.wavefront=fresnel",), SCENES, "config.physics.wavefront is 'spherical' there and"),
]


@pytest.mark.parametrize("prepare", [frozen, interrupted, killed_early])
def test_another_request_is_refused_and_nothing_is_touched(
    tmp_path: Path, prepare: Callable[[Path], object]
) -> None:
    prepare(tmp_path / "set")
    before = contents(tmp_path / "set")

    for overrides, scenes, said in OTHERS:
        with pytest.raises(DataInvalid) as caught:
            frozen(tmp_path / "set", request_of(*overrides, scenes=scenes))

        assert f"holds another set: {said}" in str(caught.value)
        assert before == contents(tmp_path / "set")


def test_another_split_and_another_generator_are_other_sets(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    with pytest.raises(DataInvalid, match="split is 'test' there and 'train' here"):
        frozen(tmp_path / "set", scene_request(smoke(), "train", SCENES))
    other = request_of().model_copy(update={"generator": "scenes-1 torch-9.9 cpu"})
    with pytest.raises(DataInvalid, match=r"generator is .* there and 'scenes-1 torch-9\.9 cpu'"):
        frozen(tmp_path / "set", other)


def test_what_only_the_covariance_sees_makes_no_other_set(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    _, drawn = freeze(tmp_path / "set", request_of("sampled.ridge=0.5"), "cpu", ignored)

    assert not drawn


FOREIGN = (
    ("thesis.tex",),
    ("thesis.tex", "film.partial"),
    ("film.partial",),
    ("film.partial/part-1",),
    ("progress.json", "game.sav"),
    ("manifest.json", "progress.json"),
    ("shard-00000/notes.txt",),
)


def test_a_foreign_folder_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    for names in FOREIGN:
        folder = tmp_path / "-".join(names).replace("/", "_")
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"level": 3}', encoding="utf-8")
        before = contents(tmp_path)

        with pytest.raises(DataInvalid):
            frozen(folder)

        assert before == contents(tmp_path), names


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    told: list[str] = []

    def meanwhile(_count: int) -> None:
        with pytest.raises(EnvironmentFailed) as caught:
            frozen(tmp_path / "set")
        told.append(str(caught.value))

    freeze(tmp_path / "set", request_of(), "cpu", meanwhile)

    assert [f"another process is writing {tmp_path / 'set'}: wait for it"] * 4 == told
    assert SCENES == len(FrozenSet.open(tmp_path / "set"))


def test_scenes_that_cannot_be_placed_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="separation_deg"):
        frozen(tmp_path / "set", request_of("data.separation_deg=90"))

    assert {} == contents(tmp_path)


def test_scenes_that_are_no_numbers_are_not_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = SceneGenerator.scenes

    def drowned(generator: SceneGenerator, split: Split, start: int, count: int) -> Scenes:
        scenes = drawn(generator, split, start, count)
        scenes.frames.y[0, 0, 0] = torch.nan
        return scenes

    monkeypatch.setattr(SceneGenerator, "scenes", drowned)

    with pytest.raises(DataInvalid, match="its y is wrong: it holds values that are not finite"):
        frozen(tmp_path / "set")

    assert {} == contents(tmp_path)
