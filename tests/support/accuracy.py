"""Methods that are no methods, and the accuracy tables they give: quick, and known beforehand."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from risexp.app.benchmark.accuracy.measure import AccuracyTable, measure_accuracy
from risexp.app.benchmark.methods import Method
from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.inference.estimate import Estimate
from tests.support.estimates import estimate_at, perfect, with_count

SMOKE = load_config(preset="smoke").config
SCENES = 24


def accurate(scenes: Scenes) -> Estimate:
    return perfect(scenes.truth)


def wrong(scenes: Scenes) -> Estimate:
    """Never the true count."""
    count = scenes.truth.count % SMOKE.data.sources_max + 1
    straight = torch.zeros(len(scenes), SMOKE.data.sources_max, dtype=torch.float64)
    present = torch.arange(SMOKE.data.sources_max) < count.unsqueeze(-1)
    ahead = straight.where(present, torch.nan)
    return estimate_at(count, ahead, ahead, ahead + 5.0)


def silent(scenes: Scenes) -> Estimate:
    """No source at all: errors are undefined."""
    return with_count(perfect(scenes.truth), torch.zeros_like(scenes.truth.count))


def bent(scenes: Scenes) -> Estimate:
    """At most two sources, the louder the noise the further off."""
    truth = scenes.truth
    count = truth.count.clamp(max=2)
    off = 0.02 * torch.pow(10.0, -snr_of(scenes).double() / 20.0) * torch.arange(len(scenes))
    near = estimate_at(
        truth.count,
        truth.phi_rad + off.unsqueeze(-1),
        truth.theta_rad - off.unsqueeze(-1),
        truth.range_m * (1.0 + off.unsqueeze(-1)),
    )
    return with_count(near, count)


METHODS: Mapping[str, Method] = {
    "accurate": accurate,
    "bent": bent,
    "wrong": wrong,
    "silent": silent,
}


def snr_of(scenes: Scenes) -> Tensor:
    """The SNR of each scene, (B,) dB."""
    snr_db = scenes.frames.snr_db
    assert snr_db is not None
    return snr_db


def measured(
    methods: Mapping[str, Method] = METHODS,
    snr_db: Sequence[float] = (-5.0, 10.0),
    scenes: int = SCENES,
    advance: Callable[[int], None] = lambda _: None,
) -> AccuracyTable:
    """A table of a few scenes of the smallest panel."""
    return measure_accuracy(SMOKE, methods, snr_db, scenes, "test", advance)
