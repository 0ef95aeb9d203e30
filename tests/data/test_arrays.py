"""Frames from plain arrays: what is taken as it is meant, and what is refused in a sentence."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risexp.data.arrays import Sizes, frames_of
from risexp.errors import DataInvalid
from tests.support.models import SCENES, arrays, frames, model_config

SIZES = Sizes.of(model_config())


def test_arrays_of_any_precision_become_the_frames_they_came_from() -> None:
    doubled = {
        name: value.astype("complex128" if value.dtype.kind == "c" else "float64")
        for name, value in arrays().items()
    }

    found = frames_of(doubled)

    for name, value in frames().items():
        assert torch.equal(value, getattr(found, name))
    assert SCENES == len(SIZES.expect(found))


def test_codes_may_be_shared_and_the_snr_left_out() -> None:
    shared, others = arrays()["codes"], arrays()
    del others["snr_db"]

    assert torch.equal(frames().codes, frames_of(arrays(codes=shared[np.newaxis])).codes)
    repeated = frames_of(arrays(codes=np.stack([shared] * SCENES))).codes
    assert (SCENES, *shared.shape) == tuple(repeated.shape)
    assert frames_of(others).snr_db is None


OF_ANOTHER_KIND: tuple[tuple[dict[str, NDArray[Any]], str], ...] = (
    ({"y": np.ones((6, 16, 8))}, "y is torch.float32: complex values were expected"),
    ({"y": np.array([["a"]])}, "y holds <U1: numbers were expected"),
    ({"y": np.array([None])}, "y holds object: numbers were expected"),
    ({"y": np.ones((16, 8), "c8")}, r"y has shape \(16, 8\) where \(B, L, M\) was expected"),
    ({"codes": np.ones((5, 36), "c8")}, r"codes has shape \(5, 36\) where \(16, 36\)"),
    ({"channel": np.ones((6, 9, 36), "c8")}, r"channel has shape \(6, 9, 36\) where"),
    ({"channel": np.array(1j)}, r"channel has shape \(\) where \(B, M, N\) was expected"),
    ({"snr_db": np.ones(2)}, r"snr_db has shape \(2,\) where \(6,\) was expected"),
    ({"snr_db": np.ones(6, "c8")}, "snr_db is complex: decibels are real"),
    ({"snr": np.ones(6)}, "there is no 'snr' in frames"),
)


def test_arrays_of_another_kind_and_missing_ones_are_refused() -> None:
    for changes, said in OF_ANOTHER_KIND:
        with pytest.raises(DataInvalid, match=said):
            frames_of(arrays(**changes))
    for name in ("y", "channel", "codes"):
        others = {field: value for field, value in arrays().items() if field != name}
        with pytest.raises(DataInvalid, match=f"{name} is missing: y, channel and codes are"):
            frames_of(others)


def test_frames_of_another_panel_or_without_a_scene_are_refused() -> None:
    empty = {name: value if name == "codes" else value[:0] for name, value in arrays().items()}

    for sizes, message in (
        (Sizes(15, 8, 36), r"y has shape \(6, 16, 8\) where \(B, 15, 8\) was expected"),
        (Sizes(16, 9, 36), r"y has shape \(6, 16, 8\) where \(B, 16, 9\) was expected"),
        (Sizes(16, 8, 35), r"channel has shape \(6, 8, 36\) where \(B, 8, 35\) was expected"),
    ):
        with pytest.raises(DataInvalid, match=message):
            sizes.expect(frames())
    with pytest.raises(DataInvalid, match="y holds no scene"):
        SIZES.expect(frames_of(empty))


def test_what_is_not_a_finite_number_is_refused_by_its_name() -> None:
    for name, value in product(("y", "channel", "codes", "snr_db"), (np.nan, np.inf, 1e300)):
        spoiled = arrays()[name].astype("complex128" if name != "snr_db" else "float64")
        spoiled.flat[-1] = value

        with pytest.raises(DataInvalid, match=f"{name}.* holds a value that is not a finite"):
            SIZES.expect(frames_of(arrays(**{name: spoiled})))


IMPOSSIBLE = (
    ("y", 1e20, "y of scene 1 has an RMS of inf: expected"),
    ("channel", 1e30, "channel of scene 1 has an RMS of "),
    ("codes", 1e20, r"codes have moduli from 1 to 1e\+20: a panel turns phases alone"),
    ("codes", 0.0, "codes have moduli from 0 to 1: a panel turns phases alone"),
    ("snr_db", 300.0, "snr_db of scene 1 is 300: give decibels from -100 to 100, or leave it"),
    ("snr_db", -1e30, r"snr_db of scene 1 is -1e\+30: give decibels"),
)


def test_finite_numbers_that_no_panel_sends_are_refused() -> None:
    silent = arrays()["channel"].copy()
    silent[4] = 0.0

    for name, value, message in IMPOSSIBLE:
        spoiled = arrays()[name].copy()
        spoiled[(1,) + (0,) * (spoiled.ndim - 1)] = value
        with pytest.raises(DataInvalid, match=message):
            SIZES.expect(frames_of(arrays(**{name: spoiled})))
    with pytest.raises(DataInvalid, match="channel of scene 4 has an RMS of 0: expected are 1e-09"):
        SIZES.expect(frames_of(arrays(channel=silent)))
