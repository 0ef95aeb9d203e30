"""Measurements that hold no answer: a defined one is given, or one clear error, and never a NaN."""

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
from tests.support.localisation import at_snr, config_of, localiser, scenes_of, sound, with_frames
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
