"""Frozen sets written: the generator's bits, whole or not at all, and no other file touched."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.data import freezing
from risexp.data.frames import Scenes
from risexp.data.freezing import SHARD_SCENES, freeze, planned_bytes, scene_request
from risexp.data.manifest import Manifest, Request, SceneConfig
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet, field_shapes
from risexp.data.streams import Split
from risexp.errors import ConfigInvalid, DataInvalid, EnvironmentFailed

SCENES = 10


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten scenes lie in shards of 4, 4 and 2."""
    monkeypatch.setattr(freezing, "SHARD_SCENES", 4)


def smoke(*overrides: str) -> RunConfig:
    return load_config(preset="smoke", overrides=overrides).config


def request_of(*overrides: str, scenes: int = SCENES) -> Request:
    return scene_request(smoke(*overrides), "test", scenes)


def ignored(_count: int) -> None:
    pass


def frozen(folder: Path, request: Request | None = None) -> Manifest:
    manifest, _ = freeze(folder, request or request_of(), "cpu", ignored)
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; empty folders by their name."""
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def arrays(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".npy")}


def bits(scenes: Scenes) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    named: list[tuple[str, Any]] = [*scenes.frames.items(), *scenes.truth.items()]
    return {
        name: (value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes())
        for name, value in named
    }


Save = Callable[..., None]


def failing_save(monkeypatch: pytest.MonkeyPatch, call: int, failure: BaseException) -> None:
    """`np.save` writes half a file and fails, at its n-th call: a field of the second shard."""
    save, calls = np.save, iter(range(1, 1000))

    def half(file: Any, array: Any, **options: Any) -> None:  # noqa: ANN401 - np.save's own
        if next(calls) == call:
            file.write(b"half an arr")
            raise failure
        save(file, array, **options)

    monkeypatch.setattr(np, "save", half)


FULL = OSError(errno.ENOSPC, "No space left on device")
SECOND_SHARD = 15


def interrupted(folder: Path, request: Request | None = None) -> None:
    """Leave a set of which one shard is whole."""
    with pytest.MonkeyPatch.context() as patch:
        failing_save(patch, SECOND_SHARD, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            frozen(folder, request)


@pytest.mark.parametrize("overrides", [(), ("physics.symbols=snapshot",), ("data.seed=9",)])
def test_a_frozen_set_holds_the_bits_of_the_generator(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    config = smoke(*overrides)
    frozen(tmp_path / "set", request_of(*overrides))

    drawn = SceneGenerator(config.physics, config.data).scenes("test", 0, SCENES)

    assert bits(drawn) == bits(FrozenSet.open(tmp_path / "set").scenes(0, SCENES))


def test_the_set_says_what_the_contract_says_it_says(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    said = json.loads((tmp_path / "set" / "manifest.json").read_text(encoding="utf-8"))

    assert list(said) == [
        *("format", "generator", "config", "config_sha", "split", "seed", "scenes"),
        *("shards", "digest"),
    ]
    assert said["format"] == "risexp-scenes-1"
    assert said["generator"] == f"scenes-1 torch-{torch.__version__} cpu"
    assert set(said["config"]) == {"physics", "data"}
    assert said["config_sha"] == smoke().sha("physics", "data")
    assert (said["split"], said["seed"], said["scenes"]) == ("test", 0, SCENES)
    assert [shard["scenes"] for shard in said["shards"]] == [4, 4, 2]
    for shard in said["shards"]:
        assert set(shard) == {"scenes", "files"}
        assert all(
            set(record) == {"path", "shape", "dtype", "sha256"}
            for record in shard["files"].values()
        )


@pytest.mark.parametrize(("symbols", "held"), [("frame", 1), ("snapshot", 16)])
def test_fields_have_the_shapes_and_types_of_the_contract(
    tmp_path: Path, symbols: str, held: int
) -> None:
    frozen(tmp_path / "set", request_of(f"physics.symbols={symbols}"))

    written = {
        path.stem: np.load(path, allow_pickle=False)
        for path in (tmp_path / "set" / "shard-00000").iterdir()
    }

    assert {name: (array.shape, array.dtype.str) for name, array in written.items()} == {
        "y": ((4, 16, 8), "<c8"),
        "channel": ((4, 8, 36), "<c8"),
        "codes": ((16, 36), "<c8"),
        "phi_rad": ((4, 3), "<f8"),
        "theta_rad": ((4, 3), "<f8"),
        "range_m": ((4, 3), "<f8"),
        "symbols": ((4, held, 3), "<c8"),
        "amplitude": ((4, 3), "<f4"),
        "count": ((4,), "<i8"),
        "snr_db": ((4,), "<f4"),
        "noise_power": ((4,), "<f4"),
    }


def test_no_covariance_and_no_pickle_is_stored(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    for path in (tmp_path / "set").rglob("*.npy"):
        array = np.load(path, allow_pickle=False)
        assert array.shape.count(36) < 2
        assert not array.dtype.hasobject


def test_the_planned_bytes_are_the_bytes(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    assert planned_bytes(request_of()) == sum(map(len, arrays(tmp_path / "set").values()))


def test_an_absurd_number_of_scenes_is_planned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "SHARD_SCENES", SHARD_SCENES)
    calls = iter(range(100))

    def few(config: SceneConfig, scenes: int) -> dict[str, tuple[tuple[int, ...], str]]:
        next(calls)
        return field_shapes(config, scenes)

    monkeypatch.setattr("risexp.data.freezing.field_shapes", few)

    assert planned_bytes(request_of(scenes=10**9)) > 10**12


def test_every_array_is_on_the_disk_before_the_manifest_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    frozen(tmp_path / "set")

    # Numbers of replaced files are given out again: the last flush under it is the manifest's.
    number = (tmp_path / "set" / "manifest.json").stat().st_ino
    manifest = len(flushed) - 1 - flushed[::-1].index(number)
    files = {path.stat().st_ino for path in (tmp_path / "set").rglob("*.npy")}
    assert len(files) == 33
    assert files <= set(flushed[:manifest])


def test_progress_is_told_after_each_shard_that_is_safe(tmp_path: Path) -> None:
    folder, told = tmp_path / "set", list[tuple[int, int]]()

    freeze(
        folder,
        request_of(),
        "cpu",
        lambda count: told.append((count, len(list(folder.glob("shard-?????"))))),
    )

    assert told == [(0, 0), (4, 1), (4, 2), (2, 3)]


def test_a_set_that_is_there_is_left_alone(tmp_path: Path) -> None:
    first = frozen(tmp_path / "set")
    before = contents(tmp_path / "set")

    again, drawn = freeze(tmp_path / "set", request_of(), "cpu", ignored)

    assert not drawn
    assert first == again
    assert before == contents(tmp_path / "set")


def test_a_whole_set_is_its_manifest_and_its_shards(tmp_path: Path) -> None:
    frozen(tmp_path / "set")

    shown = {path.name for path in (tmp_path / "set").iterdir() if path.name[0] != "."}
    assert shown == {"manifest.json", "shard-00000", "shard-00001", "shard-00002"}


def test_two_sets_of_one_request_are_one_set(tmp_path: Path) -> None:
    one, two = frozen(tmp_path / "one"), frozen(tmp_path / "two")

    assert one == two
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_bits_do_not_depend_on_the_size_of_a_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen(tmp_path / "small")
    monkeypatch.setattr(freezing, "SHARD_SCENES", 7)
    frozen(tmp_path / "large")

    small, large = (FrozenSet.open(tmp_path / name) for name in ("small", "large"))
    assert bits(small.scenes(0, SCENES)) == bits(large.scenes(0, SCENES))


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), FULL], ids=["interrupt", "full disk"])
def test_an_interrupted_set_is_no_set_and_holds_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    failing_save(monkeypatch, SECOND_SHARD, failure)

    with pytest.raises((KeyboardInterrupt, EnvironmentFailed)):
        frozen(tmp_path / "set")

    left = contents(tmp_path / "set")
    assert "manifest.json" not in left
    assert [name for name in left if "partial" in name or "shard-00001" in name] == []
    assert len(arrays(tmp_path / "set")) == 11
    with pytest.raises(DataInvalid, match="or one that was interrupted; the same"):
        FrozenSet.open(tmp_path / "set")


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), FULL], ids=["interrupt", "full disk"])
@pytest.mark.parametrize("call", [1, 11, 12, SECOND_SHARD, 33])
def test_an_interrupted_set_is_finished_to_the_same_bits(
    tmp_path: Path, call: int, failure: BaseException
) -> None:
    frozen(tmp_path / "at once")
    with pytest.MonkeyPatch.context() as patch:
        failing_save(patch, call, failure)
        with pytest.raises((KeyboardInterrupt, EnvironmentFailed)):
            frozen(tmp_path / "twice")

    frozen(tmp_path / "twice")

    assert contents(tmp_path / "at once") == contents(tmp_path / "twice")


def test_what_was_whole_is_not_written_again(tmp_path: Path) -> None:
    interrupted(tmp_path / "set")
    kept = tmp_path / "set" / "shard-00000" / "y.npy"
    written_ns = kept.stat().st_mtime_ns

    frozen(tmp_path / "set")

    assert written_ns == kept.stat().st_mtime_ns


@pytest.mark.parametrize("document", range(1, 6))
def test_a_failure_between_shards_and_documents_is_resumed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: int
) -> None:
    """Progress is written four times and the manifest once; any of the five may fail."""
    frozen(tmp_path / "at once")
    replace, calls = Path.replace, iter(range(1, 100))

    def full(path: Path, target: Path) -> Path:
        if next(calls) == document:
            raise FULL
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(EnvironmentFailed):
            frozen(tmp_path / "twice")
    manifest_was_there = (tmp_path / "twice" / "manifest.json").exists()

    frozen(tmp_path / "twice")

    assert not manifest_was_there
    assert contents(tmp_path / "at once") == contents(tmp_path / "twice")


def test_a_set_interrupted_before_its_first_shard_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_save(monkeypatch, 5, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        frozen(tmp_path / "set")

    assert contents(tmp_path) == {}


def test_a_folder_that_was_there_stays_when_its_set_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    failing_save(monkeypatch, 5, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        frozen(tmp_path / "set")

    assert (tmp_path / "set").is_dir()
    assert arrays(tmp_path / "set") == {}


def test_a_shard_that_rotted_while_the_set_was_unfinished_is_drawn_again(tmp_path: Path) -> None:
    frozen(tmp_path / "at once")
    interrupted(tmp_path / "twice")
    rotten = tmp_path / "twice" / "shard-00000" / "y.npy"
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"\x07")

    frozen(tmp_path / "twice")

    assert contents(tmp_path / "at once") == contents(tmp_path / "twice")


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from risexp.config.layers import load_config
from risexp.data import freezing

save, calls = np.save, iter(range(1, 1000))

def killed(file, array, **options):
    if next(calls) == 15:
        file.write(b"half an arr")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(file, array, **options)

np.save, freezing.SHARD_SCENES = killed, 4
request = freezing.scene_request(load_config(preset="smoke").config, "test", 10)
freezing.freeze(Path(sys.argv[1]), request, "cpu", lambda count: None)
"""


def test_a_killed_process_leaves_a_set_that_the_next_one_finishes(tmp_path: Path) -> None:
    frozen(tmp_path / "at once")
    dead = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", KILLED, str(tmp_path / "killed")], check=False
    )
    torn = set(contents(tmp_path / "killed"))

    frozen(tmp_path / "killed")

    assert dead.returncode == -signal.SIGKILL
    assert "manifest.json" not in torn
    assert "shard-00000/y.npy" in torn
    assert any("shard-00001.partial" in name for name in torn)
    assert contents(tmp_path / "at once") == contents(tmp_path / "killed")


def test_a_killed_process_leaves_nothing_that_is_opened_as_a_set(tmp_path: Path) -> None:
    interrupted(tmp_path / "set")
    # What a kill leaves and an exception does not: a half-written manifest under its partial name.
    (tmp_path / "set" / "manifest.json.partial").write_text('{"format": "risexp-', "utf-8")

    with pytest.raises(DataInvalid, match=r"holds no manifest\.json"):
        FrozenSet.open(tmp_path / "set")


def killed_early(folder: Path) -> None:
    """What a kill during the first shard leaves: a promise and half an array."""
    (folder / "shard-00000.partial").mkdir(parents=True)
    (folder / "shard-00000.partial" / "y.npy").write_bytes(b"half an arr")
    (folder / ".lock").touch()
    promise = freezing.Progress(request=request_of()).model_dump_json()
    (folder / "progress.json").write_text(promise, encoding="utf-8")


def test_a_set_killed_before_it_said_whose_it_is_is_finished(tmp_path: Path) -> None:
    frozen(tmp_path / "at once")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".lock").touch()
    (tmp_path / "killed" / "progress.json.partial").write_text('{"request', encoding="utf-8")

    frozen(tmp_path / "killed")

    assert contents(tmp_path / "at once") == contents(tmp_path / "killed")


def test_a_set_killed_in_its_first_shard_is_finished(tmp_path: Path) -> None:
    frozen(tmp_path / "at once")
    killed_early(tmp_path / "killed")

    frozen(tmp_path / "killed")

    assert contents(tmp_path / "at once") == contents(tmp_path / "killed")


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


def test_a_full_disk_is_seen_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10**9, 10**9, 10_000)
    )

    with pytest.raises(
        EnvironmentFailed, match=r"needs 0\.1 MB and its disk has 0\.0 MB free: make room"
    ):
        frozen(tmp_path / "set")

    assert contents(tmp_path) == {}


def test_only_the_missing_part_of_a_set_needs_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "set")
    room = planned_bytes(request_of()) * 2 // 3 + 1
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=room))

    frozen(tmp_path / "set")

    assert len(FrozenSet.open(tmp_path / "set")) == SCENES


def test_a_disk_that_fills_up_is_the_machine_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_save(monkeypatch, SECOND_SHARD, FULL)

    with pytest.raises(EnvironmentFailed) as caught:
        frozen(tmp_path / "set")

    assert str(caught.value) == (
        f"cannot write {tmp_path / 'set'}: No space left on device; what is whole was kept, and "
        "the same command continues"
    )


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from risexp.cli.main import main
main(["data", "generate", "--out", sys.argv[1], "--split", "test", "--scenes", "300",
      "--preset", "smoke"])
"""


def run_limited(folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process that may write no file as large as the set's largest."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISEXP_")}
    return subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", LIMITED, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_a_file_that_cannot_be_written_ends_the_command_with_nothing_half_written(
    tmp_path: Path,
) -> None:
    done = run_limited(tmp_path / "set")

    plan, *said = done.stderr.splitlines()
    assert done.returncode == 1
    assert done.stdout == ""
    assert plan.startswith("300 test scenes, ")
    assert len(said) == 1
    assert said[0].startswith(f"risexp: cannot write {tmp_path / 'set'}: ")
    assert contents(tmp_path) == {}


def test_a_short_write_is_told_in_words_a_person_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_save(monkeypatch, 3, OSError("38400 requested and 12484 written"))

    with pytest.raises(EnvironmentFailed, match="disk"):
        frozen(tmp_path / "set")


def test_a_forbidden_place_is_the_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already", encoding="utf-8")

    with pytest.raises(EnvironmentFailed, match=r"cannot write .*file/set: Not a directory"):
        frozen(tmp_path / "file" / "set")

    assert contents(tmp_path) == {"file": b"here already"}


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
