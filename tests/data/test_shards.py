"""Frozen sets read: whatever is wrong with a file, the file is named and nothing of it is used."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from risexp.app.verify import verify_set
from risexp.config.layers import load_config
from risexp.config.sections import DataConfig
from risexp.data.freezing import freeze, scene_request
from risexp.data.manifest import FileRecord, Manifest, SceneConfig, ShardRecord, digest_of
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet, sha256_of, shard_faults
from risexp.errors import DataInvalid
from tests.scenes import any_device

SCENES = 6
Json = dict[str, Any]


def sealed(said: Json) -> str:
    """The digest of a manifest that was changed on purpose."""
    manifest = Manifest.model_validate_json(json.dumps(said))
    return digest_of(manifest.request, manifest.shards)


def frozen(folder: Path, monkeypatch: pytest.MonkeyPatch, shard: int = 4) -> Path:
    """A set of six scenes in shards of four and two."""
    monkeypatch.setattr("risexp.data.freezing.SHARD_SCENES", shard)
    request = scene_request(load_config(preset="smoke").config, "test", SCENES)
    freeze(folder, request, "cpu", lambda _count: None)
    return folder


def faults(folder: Path) -> list[str]:
    return [str(fault) for fault in verify_set(folder, lambda _count: None).faults]


def edited(folder: Path, change: Callable[[Json], object]) -> None:
    """Change what the manifest says, and nothing else."""
    path = folder / "manifest.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said), encoding="utf-8")


def forged(folder: Path, field: str, write: Callable[[Path], object]) -> None:
    """Replace a file of the second shard as somebody would who also corrects every checksum."""
    path = folder / "shard-00001" / f"{field}.npy"
    write(path)

    def resealed(said: Json) -> None:
        said["shards"][1]["files"][field]["sha256"] = sha256_of(path)
        said["digest"] = sealed(said)

    edited(folder, resealed)


def changed(folder: Path, field: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Change the values of a field, with all checksums right."""
    forged(folder, field, lambda path: np.save(path, change(np.load(path))))


def test_a_sound_set_has_no_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    told: list[int] = []

    found = verify_set(folder, told.append)

    assert found.faults == ()
    assert found.manifest.scenes == SCENES
    assert told == [4, 2]


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(bytes(data))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def swollen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


@pytest.mark.parametrize("damage", [flipped, truncated, emptied, swollen])
@pytest.mark.parametrize("field", ["y", "channel", "count", "noise_power"])
def test_a_damaged_file_is_named_with_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], field: str
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    listed = sha256_of(folder / "shard-00001" / f"{field}.npy")
    damage(folder / "shard-00001" / f"{field}.npy")

    (fault,) = faults(folder)

    assert fault.startswith(f"shard-00001/{field}.npy: SHA-256 is ")
    assert fault.endswith(f"not {listed[:12]}... as listed")


@pytest.mark.parametrize("damage", [Path.unlink, flipped])
def test_no_scene_of_a_damaged_shard_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    damage(folder / "shard-00001" / "y.npy")
    opened = FrozenSet.open(folder)

    sound = opened.scenes(0, 4)

    assert len(sound) == 4
    with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
        opened.scenes(3, 2)
    with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
        list(opened.shards())


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    (folder / "shard-00000" / "range_m.npy").unlink()
    (folder / "shard-00001" / "codes.npy").unlink()

    assert faults(folder) == [
        "shard-00000/range_m.npy: the file is missing",
        "shard-00001/codes.npy: the file is missing",
    ]


@pytest.mark.parametrize(
    ("field", "change", "said"),
    [
        ("y", lambda y: y.astype("c16"), "it holds complex128 [2, 16, 8], not complex64"),
        ("phi_rad", lambda phi: phi.astype("f4"), "it holds float32 [2, 3], not float64 [2, 3]"),
        ("count", lambda count: count.astype("i4"), "it holds int32 [2], not int64 [2]"),
        ("snr_db", lambda snr: snr[:1], "it holds float32 [1], not float32 [2]"),
        ("y", lambda y: y.swapaxes(1, 2), "it holds complex64 [2, 8, 16], not complex64"),
        ("symbols", lambda s: s[:, 0], "it holds complex64 [2, 3], not complex64 [2, 1, 3]"),
        ("codes", lambda c: c[:, None], "it holds complex64 [16, 1, 36], not complex64"),
    ],
)
def test_a_file_of_another_type_or_shape_is_named_though_its_checksum_is_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    said: str,
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    changed(folder, field, change)

    (fault,) = faults(folder)

    assert fault.startswith(f"shard-00001/{field}.npy: {said}")


@pytest.mark.parametrize(
    ("entry", "value"), [("dtype", "complex128"), ("shape", [2, 16, 9]), ("shape", [4, 16, 8])]
)
def test_a_manifest_that_lists_another_type_or_shape_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, value: object
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    edited(folder, lambda said: said["shards"][1]["files"]["y"].update({entry: value}))

    (fault,) = faults(folder)

    assert fault.startswith("shard-00001/y.npy: ")
    assert fault.endswith("is listed where complex64 [2, 16, 8] belongs")


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path(self.mark),)  # type: ignore[return-value]


def test_a_pickle_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mark = frozen(tmp_path / "set", monkeypatch), tmp_path / "sprung"
    trap = np.empty((2,), dtype=object)
    trap[:] = Trap(mark)
    forged(folder, "count", lambda path: np.save(path, trap, allow_pickle=True))
    np.load(folder / "shard-00001" / "count.npy", allow_pickle=True)
    assert mark.exists()
    mark.unlink()

    (fault,) = faults(folder)

    assert fault.startswith("shard-00001/count.npy: it is no .npy array")
    assert not mark.exists()


def zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, y=np.ones((2, 16, 8), dtype="c8"))


def byte_swapped(path: Path) -> None:
    np.save(path, np.load(path).astype(">c8"))


def cut_in_its_header(path: Path) -> None:
    path.write_bytes(
        path.read_bytes()[:6] + b"\x01\x00\x20\x00" + b"{'descr': '<c8', 'shape': (2, 16"
    )


@pytest.mark.parametrize(
    "write",
    [
        emptied,
        truncated,
        lambda path: path.write_bytes(b"no array at all"),
        lambda path: path.write_bytes(pickle.dumps([1, 2, 3])),
        zipped,
        byte_swapped,
        cut_in_its_header,
    ],
    ids=["empty", "truncated", "text", "pickle", "zip", "big-endian", "half a header"],
)
def test_a_file_that_is_no_array_is_named_though_its_checksum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object]
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    forged(folder, "y", write)

    (fault,) = faults(folder)

    assert fault.startswith("shard-00001/y.npy: ")
    with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
        FrozenSet.open(folder).shard(1)


def headed(said: str) -> bytes:
    """A `.npy` file of two whole numbers under a header of one's own."""
    header = said.encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(16)


def listing(shape: str, dtype: str = "'<i8'") -> bytes:
    return headed(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n")


@example(listing(f"({2**63 - 1}, 4)"))
@example(listing(f"({2**70},)"))
@example(listing("(True,)"))
@example(headed("(" * 9000))
@example(headed("1" + "+1" * 4000))
@example(listing("(2,)", "'|O'"))
@example(listing("(-1,)"))
@any_device
@given(
    st.builds(
        lambda at, byte: (whole := listing("(2,)"))[:at] + bytes([byte]) + whole[at + 1 :],
        at=st.integers(0, len(listing("(2,)")) - 17),
        byte=st.integers(0, 255),
    )
)
def test_a_header_is_right_or_a_fault_whatever_its_bytes(tmp_path: Path, content: bytes) -> None:
    config = SceneConfig(physics=load_config(preset="smoke").config.physics, data=DataConfig())
    path = tmp_path / "count.npy"
    path.write_bytes(content)
    record = FileRecord(path="count.npy", shape=(2,), dtype="int64", sha256=sha256_of(path))

    found = list(shard_faults(tmp_path, ShardRecord(scenes=2, files={"count": record}), config))

    if [fault for fault in found if fault.path == "count.npy"] == []:
        array = np.load(path)
        assert (array.shape, array.dtype) == ((2,), np.dtype("<i8"))


def planted(at: int, value: complex) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(array: NDArray[Any]) -> NDArray[Any]:
        array.reshape(-1)[at] = value
        return array

    return change


@pytest.mark.parametrize(
    ("field", "change", "said"),
    [
        ("y", planted(7, np.nan), "it holds values that are not finite"),
        ("channel", planted(7, np.inf), "it holds values that are not finite"),
        ("snr_db", planted(0, np.nan), "it holds values that are not finite"),
        ("noise_power", planted(1, np.inf), "it holds values that are not finite"),
        ("codes", planted(3, 2.0), "codes must have modulus 1"),
        ("codes", planted(3, np.nan), "codes must have modulus 1"),
        ("count", planted(0, 0), "counts lie outside 1..3"),
        ("count", planted(0, 4), "counts lie outside 1..3"),
        ("phi_rad", planted(0, np.nan), "it must be finite for sources and NaN elsewhere"),
        ("range_m", lambda r: np.nan_to_num(r, nan=1.0), "it must be finite for sources and NaN"),
        ("phi_rad", np.rad2deg, "phi_rad"),
        ("range_m", np.negative, "range_m"),
        ("range_m", lambda r: 1e3 * r, "range_m"),
    ],
)
def test_values_no_generator_writes_are_named_though_checksums_are_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    said: str,
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    changed(folder, field, change)

    found = faults(folder)

    assert any(fault.startswith(f"shard-00001/{field}.npy: ") and said in fault for fault in found)


def test_a_field_too_few_or_too_many_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)

    def renamed(said: Json) -> None:
        files = said["shards"][0]["files"]
        files["azimuth"] = files.pop("phi_rad")
        said["digest"] = sealed(said)

    edited(folder, renamed)

    assert faults(folder) == [
        "manifest.json: a shard lists no file for phi_rad",
        "shard-00000/phi_rad.npy: azimuth is no field of a set",
    ]


def y_record(said: Json) -> Json:
    record: Json = said["shards"][0]["files"]["y"]
    return record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda said: said.update(digest="0" * 64), "the digest does not match the files"),
        (lambda said: y_record(said).update(sha256="0" * 64), "the digest does not match"),
        (lambda said: said["shards"].pop(), "the digest does not match the files"),
        (lambda said: said["shards"].reverse(), "the digest does not match the files"),
        (lambda said: said.update(scenes=7), "the shards do not add up to 7 scenes"),
        (lambda said: said["shards"][0].update(scenes=5), "the shards do not add up to 6 scenes"),
        (lambda said: y_record(said).update(path="../y.npy"), "leads out of the set's folder"),
        (lambda said: y_record(said).update(path="/etc/passwd"), "leads out of the set's folder"),
        (lambda said: y_record(said).update(path="a/../../y.npy"), "leads out of the set's"),
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
        (lambda said: said.update(split="train"), "digest"),
        (lambda said: said.update(generator="scenes-0 torch-2.0 cpu"), "digest"),
        (lambda said: said.update(config_sha="0" * 64), "config_sha"),
    ],
)
def test_an_edited_manifest_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Json], object], reason: str
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    edited(folder, change)

    with pytest.raises(DataInvalid) as caught:
        FrozenSet.open(folder)

    assert str(caught.value).startswith(str(folder / "manifest.json"))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"not json", b'{"scenes": NaN}', b"[" * 5000],
    ids=["empty", "open", "list", "null", "utf-16", "words", "nan", "deep"],
)
def test_a_manifest_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    (folder / "manifest.json").write_bytes(content)

    with pytest.raises(DataInvalid) as caught:
        FrozenSet.open(folder)

    assert str(caught.value).startswith(str(folder / "manifest.json"))
    assert "\n" not in str(caught.value)


def test_what_is_no_set_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words", encoding="utf-8")
    (tmp_path / "empty").mkdir()

    for name, said in (("none", "no folder"), ("file", "no folder"), ("empty", "holds no manif")):
        with pytest.raises(DataInvalid, match=said):
            FrozenSet.open(tmp_path / name)


@pytest.mark.parametrize(("start", "count"), [(-1, 2), (0, 0), (0, 7), (5, 2), (6, 1), (3, -1)])
def test_scenes_a_set_does_not_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, count: int
) -> None:
    opened = FrozenSet.open(frozen(tmp_path / "set", monkeypatch))

    with pytest.raises(DataInvalid, match=r"holds scenes 0\.\.5"):
        opened.scenes(start, count)


@any_device
@given(st.data())
def test_any_part_of_a_set_is_that_part_of_its_split(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    config = load_config(preset="smoke").config
    start = data.draw(st.integers(0, SCENES - 1))
    count = data.draw(st.integers(1, SCENES - start))
    with pytest.MonkeyPatch.context() as patch:
        folder = frozen(tmp_path_factory.mktemp("set") / "set", patch, data.draw(st.integers(1, 7)))

    read = FrozenSet.open(folder).scenes(start, count)

    drawn = SceneGenerator(config.physics, config.data).scenes("test", start, count)
    assert torch.equal(drawn.frames.y, read.frames.y)
    assert torch.equal(drawn.truth.range_m.nan_to_num(), read.truth.range_m.nan_to_num())


def test_the_config_of_a_set_is_the_one_it_was_drawn_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = FrozenSet.open(frozen(tmp_path / "set", monkeypatch))

    assert load_config(preset="smoke").config.canonical().physics == opened.physics
    assert load_config(preset="smoke").config.data == opened.manifest.config.data


def test_writing_into_what_was_read_does_not_change_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch, shard=SCENES)
    before = {path: path.read_bytes() for path in folder.rglob("*.npy")}
    scenes = FrozenSet.open(folder).scenes(0, SCENES)

    for _, value in [*scenes.frames.items(), *scenes.truth.items()]:
        value.fill_(7)

    assert float(scenes.frames.y.real.min()) == 7.0
    assert before == {path: path.read_bytes() for path in folder.rglob("*.npy")}
    assert faults(folder) == []


def test_codes_that_differ_between_shards_are_named_and_never_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    # Turning all codes by one phase turns the field's as well: only the comparison can tell.
    changed(folder, "codes", lambda codes: (codes * 1j).astype(codes.dtype))
    changed(folder, "symbols", lambda symbols: (symbols / 1j).astype(symbols.dtype))

    assert faults(folder) == [
        "shard-00001/codes.npy: these codes are not those of shard-00000/codes.npy"
    ]
    with pytest.raises(DataInvalid, match="do not share their codes"):
        FrozenSet.open(folder).scenes(3, 2)


def test_codes_of_their_own_for_every_scene_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch, shard=6)
    path = folder / "shard-00000" / "codes.npy"
    np.save(path, np.repeat(np.load(path)[None], SCENES, axis=0))

    def listed(said: Json) -> None:
        record = said["shards"][0]["files"]["codes"]
        record |= {"sha256": sha256_of(path), "shape": [SCENES, *record["shape"]]}
        said["digest"] = sealed(said)

    edited(folder, listed)

    assert faults(folder) == []
    assert FrozenSet.open(folder).scenes(1, 2).frames.codes.shape == (2, 16, 36)


@pytest.mark.parametrize(
    ("field", "change", "named"),
    [
        ("y", lambda y: y[::-1], "y"),
        ("channel", lambda channel: channel.conj(), "y"),
        ("theta_rad", lambda theta: -theta, "y"),
        ("noise_power", lambda power: power * 4, "y"),
        ("snr_db", lambda snr: snr + 1, "snr_db"),
    ],
)
def test_fields_that_do_not_belong_together_are_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    named: str,
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    changed(folder, field, lambda array: np.ascontiguousarray(change(array)))

    found = faults(folder)

    assert any(fault.startswith(f"shard-00001/{named}.npy: it is not ") for fault in found)


def test_a_file_listed_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)

    def doubled(said: Json) -> None:
        said["shards"].append(said["shards"][0])
        said["scenes"] = 10
        said["digest"] = sealed(said)

    edited(folder, doubled)

    with pytest.raises(DataInvalid, match="one file is listed twice"):
        FrozenSet.open(folder)


def test_a_whole_set_that_was_damaged_is_not_called_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = frozen(tmp_path / "set", monkeypatch)
    (folder / "shard-00001" / "y.npy").unlink()

    with pytest.raises(DataInvalid, match=r"damaged: shard-00001/y\.npy: the file is missing"):
        frozen(folder, monkeypatch)
