"""What a set says of itself: an edited manifest is refused with its reason."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from risexp.data.shards import FrozenSet
from risexp.errors import DataInvalid
from tests.support.frozen_sets import Json, edited, faults, sealed


def test_a_manifest_that_lists_another_type_or_shape_is_not_believed(folder: Path) -> None:
    sound = (folder / "manifest.json").read_bytes()
    others = (("dtype", "complex128"), ("shape", [2, 16, 9]), ("shape", [4, 16, 8]))
    for entry, value in others:
        (folder / "manifest.json").write_bytes(sound)
        edited(folder, lambda said: said["shards"][1]["files"]["y"].update({entry: value}))  # noqa: B023

        (fault,) = faults(folder)

        assert fault.startswith("shard-00001/y.npy: ")
        assert fault.endswith("is listed where complex64 [2, 16, 8] belongs"), value


def test_a_field_too_few_or_too_many_is_named(folder: Path) -> None:
    def renamed(said: Json) -> None:
        files = said["shards"][0]["files"]
        files["azimuth"] = files.pop("phi_rad")
        said["digest"] = sealed(said)

    edited(folder, renamed)

    assert [
        "manifest.json: a shard lists no file for phi_rad",
        "shard-00000/phi_rad.npy: azimuth is no field of a set",
    ] == faults(folder)


def y_record(said: Json) -> Json:
    record: Json = said["shards"][0]["files"]["y"]
    return record


def doubled(said: Json) -> None:
    said["shards"].append(said["shards"][0])
    said["scenes"] = 10
    said["digest"] = sealed(said)


EDITS: tuple[tuple[Callable[[Json], object], str], ...] = (
    (lambda said: said.update(digest="0" * 64), "the digest does not match the files"),
    (lambda said: y_record(said).update(sha256="0" * 64), "the digest does not match"),
    (lambda said: said["shards"].pop(), "the digest does not match the files"),
    (lambda said: said.update(scenes=7), "the shards do not add up to 7 scenes"),
    (lambda said: said["shards"][0].update(scenes=5), "the shards do not add up to 6 scenes"),
    (lambda said: y_record(said).update(path="../y.npy"), "leads out of the set's folder"),
    (lambda said: y_record(said).update(path="/etc/passwd"), "leads out of the set's folder"),
    (lambda said: y_record(said).update(path=""), "leads out of the set's folder"),
    (lambda said: y_record(said).update(path="..\\y.npy"), "leads out of the set's folder"),
    (lambda said: y_record(said).update(sha256="abc"), "shards.0.files.y.sha256"),
    (lambda said: said.update(format="risexp-scenes-2"), "format = 'risexp-scenes-2'"),
    (lambda said: said.update(split="holdout"), "split = 'holdout'"),
    (lambda said: said.update(extra=1), "extra"),
    (lambda said: said.pop("generator"), "generator is missing"),
    (lambda said: said["config"]["physics"].update(elements_x=3), "elements_x"),
    (lambda said: said["config"]["physics"].update(antennas=1), "1 antennas"),
    (lambda said: said["config"]["physics"].update(wavefront="parabolic"), "config"),
    (lambda said: said["config"]["data"].update(seed=1), "config"),
    (lambda said: said.update(seed=1), "seed"),
    (lambda said: said.update(generator="scenes-0 torch-2.0 cpu"), "digest"),
    (lambda said: said.update(config_sha="0" * 64), "config_sha"),
    (doubled, "one file is listed twice"),
)


def test_an_edited_manifest_and_another_file_are_refused_in_a_sentence(folder: Path) -> None:
    path = folder / "manifest.json"
    sound = path.read_bytes()
    for change, reason in EDITS:
        path.write_bytes(sound)
        edited(folder, change)
        with pytest.raises(DataInvalid, match=f"^{re.escape(str(path))}.*{re.escape(reason)}.*$"):
            FrozenSet.open(folder)
    for content in (b"", b"{", b"[]", b"\xff\xfe", b"not json", b'{"scenes": NaN}', b"[" * 5000):
        path.write_bytes(content)
        with pytest.raises(DataInvalid, match=f"^{re.escape(str(path))}.*$"):
            FrozenSet.open(folder)
