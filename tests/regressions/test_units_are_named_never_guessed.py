"""Museum 21: units guessed by magnitude, radians printed as degrees, two ways of packing."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from risexp.app.data.scene_picture import Refocused, SceneSeen, SourceSeen
from risexp.cli.main import main
from risexp.config.layers import load_config
from risexp.config.run import fields
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.data.shards import FrozenSet
from risexp.physics.signals import received
from tests.support.scenes import worst

CONFIG = load_config(preset="smoke", overrides=["data.snr_db=[60,60]"]).config

QUANTITY = re.compile(
    "phi|theta|angle|azimuth|elevation|range|distance|wavelength|spacing|station|separation|snr"
    "|rician"
)
UNIT = re.compile("_(rad|deg|m|db|wavelengths)$")


def scenes_on(device: torch.device) -> Scenes:
    return SceneGenerator(CONFIG.physics, CONFIG.data, device).scenes("test", 0, 64)


def misfit(frames: Frames, truth: Truth) -> float:
    """How far the measurements are from what the truth says they should be, relative."""
    field = truth.gains @ source_steering(panel_of(CONFIG.physics), truth)
    return worst(frames.y, received(frames.channel, frames.codes, field))


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


def test_the_truth_explains_the_measurements_in_radians_and_metres(device: torch.device) -> None:
    scenes = scenes_on(device)

    assert misfit(scenes.frames, scenes.truth) < 0.01


@pytest.mark.parametrize("mix_up", [in_degrees, angles_swapped, interleaved, inverse_range])
def test_a_mix_up_of_units_or_packing_explains_nothing(
    device: torch.device, mix_up: Callable[[Truth], Truth]
) -> None:
    scenes = scenes_on(device)
    full = scenes.truth.count == CONFIG.data.sources_max
    held = dataclasses.replace(
        scenes.truth, **{name: value[full] for name, value in scenes.truth.items()}
    )
    frames = Frames(
        scenes.frames.y[full], scenes.frames.channel[full], scenes.frames.codes, snr_db=None
    )

    assert misfit(frames, held) < 0.01
    assert misfit(frames, mix_up(held)) > 0.2


def test_angles_in_the_truth_are_radians_of_the_configured_field(device: torch.device) -> None:
    truth = scenes_on(device).truth

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
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, picture = tmp_path / "set", tmp_path / "scene.png"
    for command in (
        ["data", "generate", "--out", str(folder), "--split=test", "--scenes=6", "--preset=smoke"],
        ["show", "scene", str(folder), "--index", "2", "--out", str(picture), "--json"],
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(command)
        assert left.value.code == 0

    said = json.loads(capsys.readouterr().out)["sources"]

    truth = FrozenSet.open(folder).scenes(2, 1).truth
    stored = sorted(
        zip(
            truth.phi_rad[truth.present].tolist(),
            truth.theta_rad[truth.present].tolist(),
            truth.range_m[truth.present].tolist(),
            strict=True,
        )
    )
    printed = sorted((each["phi_deg"], each["theta_deg"], each["range_m"]) for each in said)
    for (phi_rad, theta_rad, range_m), row in zip(stored, printed, strict=True):
        expected = (math.degrees(phi_rad), math.degrees(theta_rad), range_m)
        assert pytest.approx(expected, abs=1e-3) == row
        # Radians of the same angles would be told apart: none of them is near zero.
        assert abs(row[0] - phi_rad) > 1.0


def unnamed(names: Iterable[str]) -> set[str]:
    """Names of quantities that do not end in their unit."""
    return {name for name in names if QUANTITY.search(name) and not UNIT.search(name)}


@pytest.mark.parametrize("holder", [Frames, Truth, SourceSeen, SceneSeen, Refocused])
def test_every_quantity_of_a_typed_structure_ends_in_its_unit(holder: type) -> None:
    assert unnamed(field.name for field in dataclasses.fields(holder)) == set()


def test_every_quantity_of_the_configuration_ends_in_its_unit() -> None:
    """The weight of the range factor is a pure number."""
    assert unnamed(path.rpartition(".")[2] for path in fields()) == {"lambda_range"}


def test_a_name_without_its_unit_is_caught() -> None:
    assert unnamed(["phi", "phi_rad", "range", "range_m", "count"]) == {"phi", "range"}
