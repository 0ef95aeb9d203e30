"""The localisers by the names a table gives them."""

from collections.abc import Callable
from typing import Final

from risexp.config.run import RunConfig
from risexp.config.words import nearest
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.order import Criterion
from risexp.covariance.sampled import Method as SampledMethod
from risexp.data.frames import Scenes
from risexp.data.scenes import source_steering
from risexp.errors import ConfigInvalid
from risexp.estimation.count_rule import CountRule
from risexp.estimation.noise import snr_db_of
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.classical import Classical
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.spectral import Spectral, Spectrum

Method = Callable[[Scenes], Estimate]
"""A row of a table. Only `oracle` and those that end in `true-k` look beyond the frames."""


def method_named(name: str, config: RunConfig) -> Method:
    """Build one method for the scenes of a configuration.

    Raises:
        ConfigInvalid: There is no method of that name.
    """
    if name not in METHODS:
        hint = nearest(name, METHODS) or f"; there are {', '.join(METHODS)}"
        raise ConfigInvalid(f"there is no method {name!r}{hint}")
    return METHODS[name](config)


def _nomp(rule: CountRule) -> Callable[[RunConfig], Method]:
    def build(config: RunConfig) -> Method:
        localise = Nomp(ReceiverModel.of(config), rule)
        return lambda scenes: localise(scenes.frames)

    return build


def _counting(spectrum: Spectrum, criterion: Criterion) -> Callable[[RunConfig], Method]:
    """A spectrum of the configured samples; the count by a criterion."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, spectrum, criterion, None)
        return lambda scenes: localise(scenes.frames)

    return build


def _per_snapshot(criterion: Criterion) -> Callable[[RunConfig], Method]:
    """Count and MUSIC on the same covariance, the only one whose eigenvalues can be counted."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, "music", criterion, "per_snapshot")
        return lambda scenes: localise(scenes.frames)

    return build


def _told(spectrum: Spectrum) -> Callable[[RunConfig], Method]:
    """A spectrum of the configured samples, told the true count and nothing else."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, spectrum, "mdl", None)
        return lambda scenes: localise.locate(scenes.frames, scenes.truth.count)

    return build


def _oracle(config: RunConfig) -> Method:
    """MUSIC on the label's effective covariance with the true count: what a network could give."""
    setting = ReceiverModel.of(config)
    spectral = Spectral(setting)

    def localise(scenes: Scenes) -> Estimate:
        steering = source_steering(setting.panel, scenes.truth)
        label = FactoredCovariance.from_sources(steering, scenes.truth.powers)
        snr_db = snr_db_of(scenes.frames, setting.symbols)
        seen = effective(label, snr_db, alpha_base=config.covariance.alpha_base)
        return spectral.locate(seen, scenes.truth.count)

    return localise


def _classical(
    config: RunConfig, spectrum: Spectrum, criterion: Criterion, method: SampledMethod | None
) -> Classical:
    return Classical(
        spectral=Spectral(ReceiverModel.of(config), spectrum),
        method=method or config.sampled.method_for(config.physics.symbols),
        ridge=config.sampled.ridge,
        alpha_base=config.covariance.alpha_base,
        criterion=criterion,
    )


METHODS: Final[dict[str, Callable[[RunConfig], Method]]] = {
    "nomp": _nomp("evidence"),
    "nomp:bic": _nomp("bic"),
    "nomp:aic": _nomp("aic"),
    "music": _counting("music", "mdl"),
    "music:true-k": _told("music"),
    "mvdr": _counting("mvdr", "mdl"),
    "mvdr:true-k": _told("mvdr"),
    "mdl": _per_snapshot("mdl"),
    "aic": _per_snapshot("aic"),
    "oracle": _oracle,
}
