"""Inputs and settings at their limits: a defined answer, or one clear error, and never a NaN."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.nomp import Nomp
from risexp.inference.spectral import Spectral, Spectrum
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
    with_frames,
)
from tests.support.looping import for_each

LAWS = ("frame", "snapshot")
METHODS = ("nomp", "nomp:bic", "music", "mvdr", "mdl")
BLIND = (*METHODS, "music:true-k", "mvdr:true-k")
"""Methods that look at measurements alone."""
SPECTRA: tuple[Spectrum, ...] = ("music", "mvdr")
UNSOLVABLE: dict[str, Callable[[Frames], dict[str, Tensor]]] = {
    "silence": lambda frames: {"y": torch.zeros_like(frames.y)},
    "a channel that carries nothing": lambda frames: {"channel": torch.zeros_like(frames.channel)},
    "a tiny unit": lambda frames: {"y": frames.y * 1e-12},
    "a huge unit": lambda frames: {"y": frames.y * 1e12},
}


@for_each("method", BLIND)
@for_each("symbols", LAWS)
@for_each("kind", UNSOLVABLE)
def test_measurements_without_an_answer_are_answered_with_some_source(
    device: torch.device, symbols: str, method: str, kind: str
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")
    scenes = scenes_of(config, 2, device)

    found = localiser(method, config)(with_frames(scenes, **UNSOLVABLE[kind](scenes.frames)))

    assert sound(found)


@for_each("wrong", [math.nan, math.inf])
@for_each("field", ["y", "channel", "snr_db"])
@for_each("method", ["nomp", "mdl", "mvdr:true-k"])
@for_each("symbols", LAWS)
def test_a_number_that_is_none_is_refused_by_scene_and_field(
    device: torch.device, symbols: str, method: str, field: str, wrong: float
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")
    scenes = scenes_of(config, 3, device)
    value = dict(scenes.frames.items())[field].clone()
    value[1].view(-1)[-1] = wrong

    with pytest.raises(DataInvalid, match=rf"^{field} of scene 1 [^\n]*$"):
        localiser(method, config)(with_frames(scenes, **{field: value}))


@for_each("method", BLIND)
@for_each("symbols", LAWS)
def test_no_scene_is_answered_with_no_estimate(
    device: torch.device, symbols: str, method: str
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")

    found = localiser(method, config)(scenes_of(config, 2, device)[:0])

    assert (0, 3) == tuple(found.phi_rad.shape)


@for_each("spectrum", SPECTRA)
@for_each("columns", [1, 5, 12])
def test_a_covariance_of_rank_zero_has_some_sources(
    device: torch.device, spectrum: Spectrum, columns: int
) -> None:
    nothing = torch.zeros(3, 144, columns, dtype=torch.complex64, device=device)
    seen = FactoredCovariance.from_factor(nothing).trace_normalize()
    count = torch.tensor([0, 1, 5], device=device)

    found = Spectral(ReceiverModel.of(config_of()), spectrum).locate(seen, count)

    assert [0, 1, 5] == found.count.tolist()
    assert sound(found)


@for_each("overrides", [("physics.antennas=160",), ("physics.symbols=snapshot",)])
@for_each("method", BLIND)
def test_one_snapshot_is_answered_or_refused_in_one_sentence(
    device: torch.device, method: str, overrides: tuple[str]
) -> None:
    config = config_of("physics.snapshots=1", *overrides, "data.sources_max=2")
    scenes = scenes_of(config, 4, device)

    if method in {"music", "mvdr", "mdl"}:
        with pytest.raises(DataInvalid, match=r"^mdl [^\n]*needs at least 2 snapshots, not 1$"):
            localiser(method, config)(scenes)
    else:
        assert sound(localiser(method, config)(scenes))


@for_each("symbols", LAWS)
@for_each("method", METHODS)
def test_where_one_source_is_the_most_the_count_is_one_for_certain(
    device: torch.device, symbols: str, method: str
) -> None:
    one = ("data.sources_max=1", at_snr(-5.0), f"physics.symbols={symbols}")
    config = config_of(*one, preset="smoke")

    found = localiser(method, config)(scenes_of(config, 4, device))

    assert [1, 1, 1, 1] == found.count.tolist()
    assert torch.allclose(torch.ones_like(found.confidence), found.confidence)


def test_fresh_symbols_without_an_snr_are_refused_in_one_sentence(device: torch.device) -> None:
    """What no held vector explains is no noise here: under fresh symbols it is signal as well."""
    config = config_of("physics.symbols=snapshot")
    unknown = with_frames(scenes_of(config, 2, device), snr_db=None)

    with pytest.raises(DataInvalid, match=r"^[^\n]*give snr_db with the frames$"):
        Nomp(ReceiverModel.of(config))(unknown.frames)
    for method in ("music", "mvdr:true-k"):
        with pytest.raises(DataInvalid, match="snr_db"):
            localiser(method, config)(unknown)


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


@for_each(("method", "snr_db"), [("nomp", -5.0), ("nomp", 90.0), ("music on label", 90.0)])
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
        ("snapshot", "nomp", 10.0, 2),
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
