"""Sources, views and panels at their limits: an answer is given all the same, and never a NaN."""

import pytest
import torch

from tests.support.configs import refusal
from tests.support.estimates import truth_of
from tests.support.localisation import (
    NOISELESS,
    at_snr,
    config_of,
    echoes,
    localiser,
    scenes_of,
    sound,
)
from tests.support.looping import for_each

LAWS = ("frame", "snapshot")
CROWDED = {
    "a narrow view": ("data.phi_deg=[0,3]", "data.theta_deg=[0,3]", "data.range_m=[3,10]"),
    "more sources than beams": ("data.sources_max=10",),
    "a tiny panel": ("physics.elements_h=3", "physics.elements_v=3", "data.sources_max=3"),
}
FIXED = {
    "phi": ("data.phi_deg=[10,10]",),
    "theta": ("data.theta_deg=[10,10]",),
    "range": ("data.range_m=[3,3]",),
    "direction": ("data.phi_deg=[10,10]", "data.theta_deg=[10,10]"),
    "all": ("data.phi_deg=[10,10]", "data.theta_deg=[10,10]", "data.range_m=[3,3]"),
}
ON_LABEL = ("music on label", "mvdr on label")
EXTREME = ("nomp", "music", "mvdr")
LIMITS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    **{
        f"a view of no width: {name}": (4, ("nomp", *ON_LABEL), (at_snr(20.0), *fixed))
        for name, fixed in FIXED.items()
    },
    "as loud as can be": (2, EXTREME, (at_snr(100.0),)),
    "as quiet as can be": (2, EXTREME, (at_snr(-100.0),)),
    "far away": (2, EXTREME, ("data.range_m=[1e5,1e6]",)),
    "elements packed": (2, EXTREME, ("physics.spacing_wavelengths=0.01",)),
    "twelve at once": (1, EXTREME, ("data.sources_max=12",)),
    **{
        f"the smallest panel: {wide} x {high}": (
            4,
            ("nomp", "music:true-k", "mvdr:true-k"),
            (f"physics.elements_h={wide}", f"physics.elements_v={high}", "data.sources_max=2"),
        )
        for wide, high in ((3, 2), (2, 3))
    },
}
"""Scenes, methods and overrides of the smoke preset."""


@pytest.mark.parametrize("limit", LIMITS)
@for_each("symbols", LAWS)
def test_settings_at_their_limits_are_answered(
    device: torch.device, symbols: str, limit: str
) -> None:
    count, methods, overrides = LIMITS[limit]
    config = config_of(f"physics.symbols={symbols}", *overrides, preset="smoke")
    scenes = scenes_of(config, count, device)

    unsound = [method for method in methods if not sound(localiser(method, config)(scenes))]

    assert [] == unsound


@for_each("snr_db", [-5.0, 90.0])
@for_each("method", ["nomp", "music on label"])
@for_each("symbols", LAWS)
def test_as_many_sources_as_can_be_at_one_place_are_answered(
    device: torch.device, symbols: str, method: str, snr_db: float
) -> None:
    config = config_of(f"physics.symbols={symbols}", "physics.power=equal")
    truth = truth_of([(7.3, -4.1, 2.2)] * 5, [(-31.7, 12.9, 8.0)] * 5, device=device)

    found = localiser(method, config)(echoes(config, truth, snr_db))

    assert sound(found)


@pytest.mark.parametrize(
    ("symbols", "rule", "snr_db", "count"),
    [
        *(
            ("frame", "nomp", -5.0, 32),
            ("frame", "nomp:bic", 20.0, 32),
            ("frame", "nomp", 60.0, 32),
        ),
        ("snapshot", "nomp", 10.0, 3),
    ],
)
@for_each("crowd", CROWDED)
def test_sources_too_close_to_resolve_are_answered(
    device: torch.device, crowd: str, symbols: str, rule: str, snr_db: float, count: int
) -> None:
    law = (f"physics.symbols={symbols}", at_snr(snr_db))
    config = config_of(*law, *CROWDED[crowd], preset="smoke")

    assert sound(localiser(rule, config)(scenes_of(config, count, device)))


@for_each("fixed", FIXED)
@for_each("method", ["nomp", *ON_LABEL])
def test_one_source_in_a_view_of_no_width_is_found(
    device: torch.device, method: str, fixed: str
) -> None:
    config = config_of("data.sources_max=1", NOISELESS, *FIXED[fixed])
    scenes = scenes_of(config, 16, device)

    found = localiser(method, config)(scenes)

    assert torch.allclose(scenes.truth.phi_rad, found.phi_rad, atol=1e-4)
    assert torch.allclose(scenes.truth.theta_rad, found.theta_rad, atol=1e-4)
    assert torch.allclose(scenes.truth.range_m, found.range_m, rtol=1e-3)


def test_a_panel_of_two_by_two_is_refused_where_it_is_configured() -> None:
    message = refusal({"physics.elements_h": 2, "physics.elements_v": 2})

    assert "2 x 2 panel cannot tell range" in message


def test_the_smallest_panel_finds_one_source(device: torch.device) -> None:
    config = config_of(
        "physics.elements_h=3", "physics.elements_v=2", "data.sources_max=1", NOISELESS
    )
    scenes = scenes_of(config, 16, device)

    found = localiser("nomp", config)(scenes)

    assert torch.allclose(scenes.truth.phi_rad, found.phi_rad, atol=1e-3)
    assert torch.allclose(scenes.truth.theta_rad, found.theta_rad, atol=1e-3)
