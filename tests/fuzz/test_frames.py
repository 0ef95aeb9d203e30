"""Frames in `.npz` and `.mat` files: they are answered, or refused in one sentence."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray
from scipy.io import savemat  # type: ignore[import-untyped] # it ships no types

from tests.support.fuzzing import Reply, Tally, damaged_bytes, one_folder
from tests.support.models import SCENES, arrays, model_in

pytestmark = pytest.mark.fault("F20")

FIELDS = ("y", "channel", "codes", "snr_db")


@pytest.fixture(autouse=True)
def model(tmp_path: Path) -> None:
    model_in(tmp_path)


def predict(tally: Tally, name: str, content: bytes) -> Reply:
    """The reply to a file; answers are numbers."""
    Path(name).write_bytes(content)
    reply = tally.submit(f"predict model {name} --json")
    if reply.code == 0:
        assert json.loads(reply.out, parse_constant=pytest.fail)["predictions"]
    return reply


def npz(**changes: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays(**changes))  # type: ignore[arg-type] # of numpy 2.4
    return file.getvalue()


def mat(*, compressed: bool = False) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays(), do_compression=compressed)
    return file.getvalue()


def headed(name: str, header: bytes, content: bytes = b"") -> bytes:
    """An archive whose arrays are sound but one, which has a header of one's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for field in FIELDS:
            array = io.BytesIO()
            np.save(array, arrays()[field])
            text = array.getvalue()
            if field == name:
                text = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content
            archive.writestr(f"{field}.npy", text)
    return file.getvalue()


NPZ, MAT, PACKED = npz(), mat(), mat(compressed=True)
HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }"


@one_folder
@given(damaged_bytes(NPZ) | st.binary(max_size=60))
def test_a_damaged_npz(tally: Tally, content: bytes) -> None:
    predict(tally, "frames.npz", content)


@one_folder
@given(damaged_bytes(MAT[:1000]).map(lambda head: head + MAT[1000:]) | damaged_bytes(PACKED))
def test_a_damaged_mat(tally: Tally, content: bytes) -> None:
    predict(tally, "frames.mat", content)


TYPES = (
    arrays_of.scalar_dtypes()
    | arrays_of.array_dtypes(max_size=2)
    | st.sampled_from(("O", "V0", "U0", "S3", "<c32", "(2,)f4"))
)
SHAPES = st.lists(
    st.booleans() | st.integers(-2, 8) | st.sampled_from((2**31, 2**63, 2**70)), max_size=4
)


@one_folder
@given(
    st.sampled_from(FIELDS),
    damaged_bytes(HEADER)
    | st.tuples(TYPES.map(repr), st.booleans(), SHAPES).map(
        lambda of: str({"descr": of[0], "fortran_order": of[1], "shape": tuple(of[2])}).encode()
    ),
    st.sampled_from((b"", bytes(1), bytes(24), bytes(48))),
)
@example("snr_db", HEADER.replace(b"(6,)", b"(True,)"), bytes(4))
def test_other_headers(tally: Tally, name: str, header: bytes, content: bytes) -> None:
    predict(tally, "frames.npz", headed(name, header, content))


@one_folder
@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        arrays_of.arrays(
            st.sampled_from(("f4", "f8", "c8", "c16", "i1", "u8", "f2", "b1", "M8[s]", "U2")),
            arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=SCENES),
        ),
        min_size=1,
    )
)
def test_other_arrays(tally: Tally, changes: dict[str, NDArray[Any]]) -> None:
    predict(tally, "frames.npz", npz(**changes))
