"""Laws of scenes: what a configuration may say can be drawn, and the drawn set is sound."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import Tally, one_folder

pytestmark = pytest.mark.fault("F20")

EXTREMES = (0, -1, 5e-324, 1e-30, 1e-6, 1e-3, 0.01, 0.5, 1, 10, 60, -60, 90, -90, 179, 1e3, 1e6)
NUMBERS = st.sampled_from(EXTREMES)
INTERVALS = st.lists(NUMBERS, min_size=2, max_size=2).map(sorted)
LAWS: dict[str, st.SearchStrategy[Any]] = {
    "physics.wavelength_m": NUMBERS,
    "physics.spacing_wavelengths": NUMBERS,
    "physics.station_deg": NUMBERS,
    "physics.station_range_m": NUMBERS,
    "physics.rician_db": INTERVALS,
    "data.phi_deg": INTERVALS,
    "data.theta_deg": INTERVALS,
    "data.range_m": INTERVALS,
    "data.snr_db": INTERVALS,
    "data.separation_deg": NUMBERS,
}


@one_folder
@given(st.sampled_from(sorted(LAWS)).flatmap(lambda name: st.tuples(st.just(name), LAWS[name])))
def test_any_law(tally: Tally, law: tuple[str, Any]) -> None:
    name, value = law
    field = shlex.quote(f"{name}={json.dumps(value)}")

    drawn = tally.submit(
        f"data generate -p smoke --split test --scenes 2 --out set --set {field}", written="set"
    )

    if drawn.code == 0:
        tally.submit("data verify set", [0])
        shutil.rmtree(Path("set"))
