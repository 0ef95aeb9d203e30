"""Frozen sets refused: what is asked for is wrong, and nothing that was there is touched."""

import re
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
    interrupted,
    killed_early,
    request_of,
    smoke,
)

OTHERS = [
    (request_of("data.seed=1"), "config.data.seed is 0 there and 1 here"),
    (request_of(scenes=11), "scenes is 10 there and 11 here"),
    (request_of("data.snr_db=[0,20]"), "config.data.snr_db is [-5.0, 20.0] there and [0.0, 20.0]"),
    (scene_request(smoke(), "train", SCENES), "split is 'test' there and 'train' here"),
    (request_of().model_copy(update={"generator": "scenes-1 torch-9.9 cpu"}), "generator is "),
]


@pytest.mark.parametrize("prepare", [frozen, interrupted, killed_early])
def test_another_request_is_refused_and_nothing_is_touched(
    tmp_path: Path, prepare: Callable[[Path], object]
) -> None:
    prepare(tmp_path / "set")
    before = contents(tmp_path / "set")

    for request, message in OTHERS:
        with pytest.raises(DataInvalid, match=re.escape(f"holds another set: {message}")):
            frozen(tmp_path / "set", request)
        assert before == contents(tmp_path / "set")

    # The sampled covariance is no part of a set.
    frozen(tmp_path / "set", request_of("sampled.ridge=0.5"))


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


def test_scenes_that_cannot_be_placed_or_are_no_numbers_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = SceneGenerator.scenes

    def drowned(generator: SceneGenerator, split: Split, start: int, count: int) -> Scenes:
        scenes = drawn(generator, split, start, count)
        scenes.frames.y[0, 0, 0] = torch.nan
        return scenes

    with pytest.raises(ConfigInvalid, match="separation_deg"):
        frozen(tmp_path / "set", request_of("data.separation_deg=90"))
    monkeypatch.setattr(SceneGenerator, "scenes", drowned)

    with pytest.raises(DataInvalid, match="its y is wrong: it holds values that are not finite"):
        frozen(tmp_path / "set")

    assert {} == contents(tmp_path)
