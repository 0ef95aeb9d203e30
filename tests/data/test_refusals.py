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


@pytest.mark.parametrize(("overrides", "scenes", "said"), OTHERS)
@pytest.mark.parametrize(
    "prepare",
    [
        frozen,
        interrupted,
        killed_early,
    ],
)
def test_another_request_is_refused_and_nothing_is_touched(
    tmp_path: Path,
    overrides: tuple[str, ...],
    scenes: int,
    said: str,
    prepare: Callable[[Path], object],
) -> None:
    prepare(tmp_path / "set")
    before = contents(tmp_path / "set")

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


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("thesis.tex",), id="a file"),
        pytest.param(("thesis.tex", "film.partial"), id="somebody's partial"),
        pytest.param(("film.partial",), id="only a partial"),
        pytest.param(("film.partial/part-1",), id="a partial folder"),
        pytest.param(("progress.json", "game.sav"), id="somebody's progress"),
        pytest.param(("manifest.json", "progress.json"), id="a web application"),
        pytest.param(("shard-00000/notes.txt",), id="somebody's shard"),
    ],
)
def test_a_foreign_folder_is_refused_and_nothing_is_touched(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"level": 3}', encoding="utf-8")
    before = contents(tmp_path)

    with pytest.raises(DataInvalid):
        frozen(tmp_path / "mine")

    assert before == contents(tmp_path)


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    told: list[str] = []

    def meanwhile(_count: int) -> None:
        with pytest.raises(EnvironmentFailed) as caught:
            frozen(tmp_path / "set")
        told.append(str(caught.value))

    freeze(tmp_path / "set", request_of(), "cpu", meanwhile)

    assert set(told) == {f"another process is writing {tmp_path / 'set'}: wait for it"}
    assert len(told) == 4
    assert len(FrozenSet.open(tmp_path / "set")) == SCENES


def test_scenes_that_cannot_be_placed_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="separation_deg"):
        frozen(tmp_path / "set", request_of("data.separation_deg=90"))

    assert contents(tmp_path) == {}


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

    assert contents(tmp_path) == {}
