"""Museum 21: units guessed by magnitude, radians printed as degrees, two ways of packing."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from risexp.app.show.scene import SceneSeen, SourceSeen
from risexp.config.run import fields
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.shards import FrozenSet
from tests.support.commands import GENERATE, document, run
from tests.support.disturbed_scenes import clean
from tests.support.localisation import at_snr, config_of, holding, scenes_of
from tests.support.scenes import worst

CONFIG = config_of(at_snr(60.0), preset="smoke")

QUANTITY = re.compile(
    "phi|theta|angle|azimuth|elevation|range|distance|wavelength|spacing|station|separation|snr"
    "|rician"
)
UNIT = re.compile("_(rad|deg|m|db|wavelengths)$")


def misfit(frames: Frames, truth: Truth) -> float:
    """How far the measurements are from what the truth says they should be, relative."""
    return worst(frames.y, clean(Scenes(frames, truth)))


def in_degrees(truth: Truth) -> Truth:
    return dataclasses.replace(
        truth, phi_rad=truth.phi_rad.rad2deg(), theta_rad=truth.theta_rad.rad2deg()
    )


def angles_swapped(truth: Truth) -> Truth:
    return dataclasses.replace(truth, phi_rad=truth.theta_rad, theta_rad=truth.phi_rad)


def interleaved(truth: Truth) -> Truth:
    """phi, theta, phi, theta ... read as phi, phi, ..., theta, theta: the packing of old."""
    both = torch.stack([truth.phi_rad, truth.theta_rad], dim=-1).flatten(1)
    phi_rad, theta_rad = both.chunk(2, dim=-1)
    # Slots beyond the count are NaN: an interleaved row puts some of them where sources are.
    return dataclasses.replace(truth, phi_rad=phi_rad, theta_rad=theta_rad)


def inverse_range(truth: Truth) -> Truth:
    return dataclasses.replace(truth, range_m=truth.range_m.reciprocal())


@pytest.mark.parametrize("mix_up", [in_degrees, angles_swapped, interleaved, inverse_range])
def test_the_truth_explains_the_measurements_and_a_mix_up_of_units_or_packing_does_not(
    device: torch.device, mix_up: Callable[[Truth], Truth]
) -> None:
    scenes = scenes_of(CONFIG, 64, device)
    full = holding(scenes, CONFIG.data.sources_max)

    assert misfit(scenes.frames, scenes.truth) < 0.01
    assert misfit(full.frames, full.truth) < 0.01
    assert misfit(full.frames, mix_up(full.truth)) > 0.2


def test_angles_in_the_truth_are_radians_of_the_configured_field(device: torch.device) -> None:
    truth = scenes_of(CONFIG, 64, device).truth

    assert not outside_the_field(truth)
    assert outside_the_field(in_degrees(truth))


def outside_the_field(truth: Truth) -> bool:
    data = CONFIG.data
    limits = ((truth.phi_rad, data.phi_deg), (truth.theta_rad, data.theta_deg))
    return any(
        bool((angle[truth.present] < math.radians(low)).any())
        or bool((angle[truth.present] > math.radians(high)).any())
        for angle, (low, high) in limits
    )


def test_the_command_line_prints_degrees_of_what_is_stored_in_radians(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, GENERATE)

    said = document(capsys, "show scene set --index 2 --out scene.png")["sources"]

    truth = FrozenSet.open(tmp_path / "set").scenes(2, 1).truth
    columns = (truth.phi_rad.rad2deg(), truth.theta_rad.rad2deg(), truth.range_m)
    stored = torch.stack([each[truth.present] for each in columns], -1).tolist()
    printed = sorted((each["phi_deg"], each["theta_deg"], each["range_m"]) for each in said)
    for expected, row in zip(sorted(stored), printed, strict=True):
        assert pytest.approx(expected, abs=1e-3) == row
        # Radians of the same angles would be told apart: none of them is near zero.
        assert abs(row[0] - math.radians(row[0])) > 1.0


def unnamed(names: Iterable[str]) -> set[str]:
    """Names of quantities that do not end in their unit."""
    return {name for name in names if QUANTITY.search(name) and not UNIT.search(name)}


def test_every_quantity_of_a_typed_structure_and_of_the_configuration_ends_in_its_unit() -> None:
    holders = (Frames, Truth, SourceSeen, SceneSeen)
    names = [field.name for holder in holders for field in dataclasses.fields(holder)]

    assert set() == unnamed(names)
    # The weight of the range factor is a pure number.
    assert {"lambda_range"} == unnamed(path.rpartition(".")[2] for path in fields())
    assert {"phi", "range"} == unnamed(["phi", "phi_rad", "range", "range_m", "count"])
