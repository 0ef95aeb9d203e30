"""The likelihoods of small scenes: a law, fits of sources that were put anywhere, and pursuits."""

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.estimation.fit import Fit
from risexp.estimation.grid import search_grid
from risexp.estimation.pursuit import Law, Pursuit, law_of, pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from tests.support.localisation import anywhere, at_snr, config_of, isometric, scenes_of

Found = tuple[Law, Pursuit, list[RangePosterior]]
SCENES = 4


def small(symbols: str, snr_db: float = 10.0, *overrides: str) -> RunConfig:
    """A panel that its station hears without loss: as many antennas as elements."""
    law = (at_snr(snr_db), f"physics.symbols={symbols}", "physics.antennas=36")
    return config_of(*law, *overrides, preset="smoke")


def heard(config: RunConfig, scenes: int = SCENES) -> Frames:
    """What is heard through a channel that keeps every length."""
    return isometric(scenes_of(config, scenes)).frames


def law(config: RunConfig, frames: Frames) -> Law:
    receiver = ReceiverModel.of(config)
    return law_of(receiver, frames, noise_power(frames, receiver.symbols))


def fitted(config: RunConfig, frames: Frames, count: int) -> tuple[Law, Fit]:
    """Sources added one after another, each started anywhere."""
    known = law(config, frames)
    fit = known.silence()
    for source in range(count):
        points = anywhere(config, len(frames), seed=20 + source).float()
        fit = known.extended(fit, points)
    return known, fit


def pursued(config: RunConfig, frames: Frames) -> Found:
    """What a pursuit through frames leaves: its law, its fits, and their ranges."""
    known = law(config, frames)
    receiver = known.receiver
    grid = search_grid(receiver.panel, receiver.view, frames.y.device)
    pursuit = pursue(known, grid, receiver.view.sources_max)
    return known, pursuit, [RangePosterior.of(known, fit) for fit in pursuit.fits]
