"""Frozen sets forged: checksums are right, and what they vouch for is not believed."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from risexp.config.layers import load_config
from risexp.config.measurement import DataConfig
from risexp.core.sealed import sha256_of
from risexp.data.manifest import FileRecord, SceneConfig, ShardRecord
from risexp.data.shards import FrozenSet, shard_faults
from risexp.errors import DataInvalid
from tests.support.frozen_sets import changed, emptied, faults, forged, truncated
from tests.support.scenes import any_device

Change = Callable[[NDArray[Any]], NDArray[Any]]
TYPES_AND_SHAPES: tuple[tuple[str, Change, str], ...] = (
    ("y", lambda y: y.astype("c16"), "it holds complex128 [2, 16, 8], not complex64"),
    ("snr_db", lambda snr: snr[:1], "it holds float32 [1], not float32 [2]"),
    ("symbols", lambda s: s[:, 0], "it holds complex64 [2, 3], not complex64 [2, 1, 3]"),
    ("codes", lambda c: c[:, None], "it holds complex64 [16, 1, 36], not complex64"),
)


def test_a_file_of_another_type_or_shape_is_named_though_its_checksum_is_right(
    folder: Path,
) -> None:
    for field, change, said in TYPES_AND_SHAPES:
        (fault,) = faults(changed(folder, field, change))

        assert fault.startswith(f"shard-00001/{field}.npy: {said}"), said


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path(self.mark),)  # type: ignore[return-value]


def test_a_pickle_is_not_opened(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "sprung"
    trap = np.empty((2,), dtype=object)
    trap[:] = Trap(mark)
    forgery = forged(folder, "count", lambda path: np.save(path, trap, allow_pickle=True))
    np.load(forgery / "shard-00001" / "count.npy", allow_pickle=True)
    assert mark.exists()
    mark.unlink()

    (fault,) = faults(forgery)

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


NO_ARRAYS: tuple[Callable[[Path], object], ...] = (
    emptied,
    truncated,
    lambda path: path.write_bytes(b"no array at all"),
    lambda path: path.write_bytes(pickle.dumps([1, 2, 3])),
    zipped,
    byte_swapped,
    cut_in_its_header,
)


def test_a_file_that_is_no_array_is_named_though_its_checksum_is_right(folder: Path) -> None:
    for write in NO_ARRAYS:
        forgery = forged(folder, "y", write)

        (fault,) = faults(forgery)

        assert fault.startswith("shard-00001/y.npy: "), write
        with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
            FrozenSet.open(forgery).shard(1)


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


VALUES: tuple[tuple[str, Change, str], ...] = (
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
)


def test_values_no_generator_writes_are_named_though_checksums_are_right(folder: Path) -> None:
    for field, change, said in VALUES:
        named = faults(changed(folder, field, change))

        due = f"shard-00001/{field}.npy: "
        assert any(fault.startswith(due) and said in fault for fault in named), (field, said)


def test_codes_that_differ_between_shards_are_named_and_never_joined(folder: Path) -> None:
    # Turning all codes by one phase turns the field's as well: only the comparison can tell.
    turned = changed(folder, "codes", lambda codes: (codes * 1j).astype(codes.dtype))
    forgery = changed(turned, "symbols", lambda symbols: (symbols / 1j).astype(symbols.dtype))

    assert ["shard-00001/codes.npy: these codes are not those of shard-00000/codes.npy"] == faults(
        forgery
    )
    with pytest.raises(DataInvalid, match="do not share their codes"):
        FrozenSet.open(forgery).scenes(3, 2)


UNRELATED: tuple[tuple[str, Change, str], ...] = (
    ("y", lambda y: y[::-1], "y"),
    ("channel", lambda channel: channel.conj(), "y"),
    ("theta_rad", lambda theta: -theta, "y"),
    ("noise_power", lambda power: power * 4, "y"),
    ("snr_db", lambda snr: snr + 1, "snr_db"),
)


def test_fields_that_do_not_belong_together_are_found(folder: Path) -> None:
    for field, change, due in UNRELATED:
        forgery = changed(folder, field, lambda array: np.ascontiguousarray(change(array)))  # noqa: B023

        named = faults(forgery)

        assert any(f.startswith(f"shard-00001/{due}.npy: it is not ") for f in named), field
