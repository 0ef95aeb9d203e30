"""Frames from a person's own file: what was written comes back, and nothing else gets in."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat  # type: ignore[import-untyped] # it ships no types

from risexp.data.frames_files import LoadedFrames, read_frames
from risexp.data.matlab import read_matlab
from risexp.errors import DataInvalid
from tests.support.models import arrays, frames


def npz(folder: Path, **changes: NDArray[Any]) -> Path:
    np.savez(folder / "frames.npz", **arrays(**changes))  # type: ignore[arg-type] # of numpy 2.4
    return folder / "frames.npz"


def mat(folder: Path, *, compressed: bool = False, **changes: NDArray[Any]) -> Path:
    savemat(folder / "frames.mat", arrays(**changes), do_compression=compressed)
    return folder / "frames.mat"


def expect_the_same(found: LoadedFrames) -> None:
    for name, value in frames().items():
        assert torch.equal(value, getattr(found.frames, name))


def test_npz_gives_back_its_arrays_and_other_names(tmp_path: Path) -> None:
    plain = read_frames(npz(tmp_path))
    turned = read_frames(npz(tmp_path, **{k: np.asfortranarray(v) for k, v in arrays().items()}))
    np.savez_compressed(tmp_path / "more.npz", notes=np.array("of May"), **arrays())  # type: ignore[arg-type]
    compressed = read_frames(tmp_path / "more.npz")

    for found in (plain, turned, compressed):
        expect_the_same(found)
    assert ((), ("notes",)) == (plain.unused, compressed.unused)


def test_mat_gives_back_its_arrays_and_other_names(tmp_path: Path) -> None:
    for compressed in (False, True):
        found = read_frames(mat(tmp_path, compressed=compressed, notes=np.ones(2)))
        expect_the_same(found)
        assert ("notes",) == found.unused

    # MATLAB stores complex arrays without imaginary parts as real ones.
    signs = np.sign(arrays()["codes"].real)
    found = read_frames(mat(tmp_path, codes=signs))
    assert torch.equal(torch.from_numpy(signs).to(torch.complex64), found.frames.codes)


def test_a_pickle_in_an_npz_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "frames.npz", y=np.array([Trap()], dtype=object))

    with pytest.raises(DataInvalid, match=r"y\.npy holds Python objects, which are not read"):
        read_frames(tmp_path / "frames.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    zeros = np.zeros((2, 1000, 1000), dtype="complex64")
    np.savez_compressed(tmp_path / "frames.npz", y=zeros)
    savemat(tmp_path / "frames.mat", {"y": zeros}, do_compression=True)

    for path in (tmp_path / "frames.npz", tmp_path / "frames.mat"):
        assert path.stat().st_size < 100_000
        with pytest.raises(DataInvalid, match="unpacks to more than 1000000 bytes: write its"):
            read_frames(path, largest=1_000_000)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<c8", "fortran_order": False, "shape": (1 << 50,)}
    )
    with zipfile.ZipFile(tmp_path / "frames.npz", "w") as archive:
        archive.writestr("y.npy", header.getvalue() + b"few bytes")

    with pytest.raises(DataInvalid, match=r"y\.npy has not the bytes that its shape needs"):
        read_frames(tmp_path / "frames.npz")


def test_an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(npz(tmp_path), "a") as archive:
        archive.writestr("y", archive.read("channel.npy"))

    with pytest.raises(DataInvalid, match=r"frames\.npz holds an array twice: leave one of them"):
        read_frames(tmp_path / "frames.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_no_byte_before_the_numbers_of_a_mat_does_more_than_to_make_it_refused(
    tmp_path: Path, compressed: bool
) -> None:
    path = tmp_path / "frames.mat"
    savemat(path, {"y": np.ones((1, 2, 3), "c8")})
    whole = path.read_bytes()
    refused = 0
    for place in range(128, len(whole)):
        for byte in (0, 14, 255):
            changed = bytearray(whole)
            changed[place] = byte
            if compressed:
                packed = zlib.compress(changed[128:])
                changed[128:] = struct.pack("<II", 15, len(packed)) + packed
            path.write_bytes(changed)
            with pytest.raises(DataInvalid, match=r"frames\.mat") as caught:
                read_frames(path)
            refused += "no sound" in str(caught.value)
    assert refused > 100


def test_a_mat_of_the_other_order_of_bytes_with_shortened_numbers_is_read(tmp_path: Path) -> None:
    def part(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    signs = np.sign(arrays()["codes"].real[:1]).astype("i1")
    flags, shape = struct.pack(">II", 6, 0), struct.pack(">2i", *signs.shape)
    numbers = part(1, signs.tobytes("F"))
    matrix = part(14, part(6, flags) + part(5, shape) + part(1, b"codes") + numbers)
    (tmp_path / "frames.mat").write_bytes(bytes(124) + b"\x01\x00MI" + matrix)

    found, others = read_matlab(("codes",), tmp_path / "frames.mat", 1 << 20)

    assert np.array_equal(signs, found["codes"])
    assert () == others


def header(version: bytes, text: bytes = b"MATLAB 7.3 MAT-file") -> bytes:
    return text.ljust(124) + version + b"IM"


NO_SUCH_FILES = (
    ("frames.npy", b"", "neither a .npz nor a .mat file"),
    ("frames.npz", b"words", "no sound .npz file"),
    ("frames.npz", b"", "no sound .npz file"),
    ("frames.mat", b"words", "no .mat file of version 5: save it with -v7"),
    ("frames.mat", header(b"\x00\x02") + b"HDF", "of version 7.3: save it again with -v7"),
    ("frames.mat", header(b"\x00\x01") + b"\x0f\x00\x00\x00\xff\x00\x00\x00junk", "no sound"),
)


def test_files_that_are_broken_or_hold_other_arrays_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path)
    no_python = path.read_bytes().replace(b"{'descr'", b"{[descr'", 1)
    np.savez(path, y=arrays()["y"])
    incomplete = path.read_bytes()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("y.npy", bytes(1000))
    damaged = bytearray(path.read_bytes())
    damaged[38:44] = b"\xff" * 6
    words = mat(tmp_path, codes=np.array("random")).read_bytes()

    for name, content, message in (
        *NO_SUCH_FILES,
        ("frames.npz", no_python, "no sound"),
        ("frames.npz", incomplete, r"frames\.npz: channel is missing"),
        ("frames.npz", bytes(damaged), "no sound"),
        ("frames.mat", words, "codes is a char: numbers were expected"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataInvalid, match=message):
            read_frames(tmp_path / name)
    with pytest.raises(DataInvalid, match="is no sound file: File name too long"):
        read_frames(Path(f"{'x' * 300}.npz"))


@pytest.mark.parametrize("write", [npz, mat])
def test_a_file_cut_anywhere_is_refused_in_a_sentence(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()

    for share in (0.01, 0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataInvalid, match="frames"):
            read_frames(path)
