"""Scenarios: what can differ from the physics that a receiver assumes, in several levels."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.config.section import nearest
from risexp.data.disturbed import (
    BEARINGS,
    mislabelled,
    seen_through,
    wave_amplitude,
    with_close_pair,
    with_equal_power,
    with_first_two,
    with_shared_stream,
)
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of
from risexp.errors import ConfigInvalid
from risexp.evaluation.candidates import scene_normals, scene_uniforms
from risexp.physics.geometry import Panel

PHASE_DEG: Final = (0.0, 5.0, 10.0, 20.0, 40.0)
DEAD_PERCENT: Final = (0.0, 1.0, 5.0, 10.0, 20.0)
CORRELATION: Final = (0.0, 0.5, 0.9, 1.0)
SEPARATION_DEG: Final = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0)
LABEL_DB: Final = (-10.0, -5.0, -3.0, 0.0, 3.0, 5.0, 10.0)
NEAR_M: Final = (0.5, 2.0)
"""Where a wave's amplitude varies most across the panel."""


@dataclass(frozen=True)
class ScenarioLevel:
    """One strength of a disturbance."""

    name: str
    disturb: Callable[[Scenes], Scenes]
    """Returns the disturbed scenes; it draws the same numbers at every level."""
    receiver: RunConfig
    """Configuration that the methods are built for."""


@dataclass(frozen=True)
class Scenario:
    """One disturbance, in levels that share their scenes."""

    about: str
    """The disturbance in one clause."""
    axis: str
    """What the levels' names measure, with the unit."""
    config: RunConfig
    """The law that the scenes are drawn from before they are disturbed."""
    levels: tuple[ScenarioLevel, ...]
    """In the order in which to show them."""
    undisturbed: str = "0"
    """Name of the level that the others are compared with."""
    sources_min: int = 1
    """Scenes of fewer sources are skipped."""
    by_range: bool = False
    """True if near and far sources are affected differently."""


def chosen_scenarios(names: Sequence[str], config: RunConfig) -> dict[str, Scenario]:
    """Build scenarios by their names; `all` stands for every one."""
    if not names:
        raise ConfigInvalid("--scenarios names none: try all")
    chosen = list(SCENARIOS) if list(names) == ["all"] else list(names)
    for name in chosen:
        if name not in SCENARIOS:
            hint = nearest(name, SCENARIOS) or f"; there are all, {', '.join(SCENARIOS)}"
            raise ConfigInvalid(f"there is no scenario {name!r}{hint}")
        if chosen.count(name) > 1:
            raise ConfigInvalid(f"--scenarios names {name} twice: once is enough")
    scenarios = {name: SCENARIOS[name](config) for name in chosen}
    for name, scenario in scenarios.items():
        if scenario.sources_min > scenario.config.data.sources_max:
            raise ConfigInvalid(
                f"the scenario {name} needs data.sources_max >= {scenario.sources_min}: "
                "raise it or leave the scenario out"
            )
    return scenarios


def _wavefront(config: RunConfig) -> Scenario:
    """The scenes have spherical waves, under any configuration."""
    models = {
        model: config.replace({"physics.wavefront": model})
        for model in ("spherical", "fresnel", "parabolic")
    }
    return Scenario(
        about="spherical waves, taken by the receiver for another model",
        axis="receiver's model",
        config=models["spherical"],
        levels=tuple(
            ScenarioLevel(model, _nothing, believed) for model, believed in models.items()
        ),
        undisturbed="spherical",
        by_range=True,
    )


def _amplitude(config: RunConfig) -> Scenario:
    panel = panel_of(config.physics)

    def fading(scenes: Scenes) -> Scenes:
        return seen_through(panel, scenes, wave_amplitude(panel, scenes.truth))

    return Scenario(
        about="amplitude falls with each element's distance, taken for equal",
        axis="amplitude over the panel",
        config=config,
        levels=(
            ScenarioLevel("equal", _nothing, config),
            ScenarioLevel("1/distance", fading, config),
        ),
        undisturbed="equal",
        by_range=True,
    )


def _amplitude_near(config: RunConfig) -> Scenario:
    """As `amplitude` with near sources, which the receiver expects."""
    return _amplitude(config.replace({"data.range_m": list(NEAR_M)}))


def _phase(config: RunConfig) -> Scenario:
    panel = panel_of(config.physics)

    def turned(degrees: float, scenes: Scenes) -> Scenes:
        error = math.radians(degrees) * _per_element(scene_normals, "phase errors", panel, scenes)
        return seen_through(panel, scenes, torch.polar(torch.ones_like(error), error))

    return Scenario(
        about="each element's phase is off by a normal error; its deviation in deg",
        axis="standard deviation (deg)",
        config=config,
        levels=_levels(PHASE_DEG, turned, config),
    )


def _dead(config: RunConfig) -> Scenario:
    panel = panel_of(config.physics)

    def dulled(percent: float, scenes: Scenes) -> Scenes:
        chance = _per_element(scene_uniforms, "dead elements", panel, scenes)
        return seen_through(panel, scenes, torch.where(100.0 * chance < percent, 0.0, 1.0))

    return Scenario(
        about="a random share of the elements, in %, reflects nothing",
        axis="dead elements (%)",
        config=config,
        levels=_levels(DEAD_PERCENT, dulled, config),
    )


def _coherent(config: RunConfig) -> Scenario:
    """With fresh symbols: held symbols are coherent already, and their receiver expects it."""
    fresh = config.replace({"physics.symbols": "snapshot", "sampled.method": None})
    panel = panel_of(fresh.physics)

    def mixed(correlation: float, scenes: Scenes) -> Scenes:
        slots = scenes.truth.phi_rad.shape[1:]
        turn = 2.0 * math.pi * scene_uniforms(scenes.truth, "path phases", tuple(slots))
        return with_shared_stream(panel, scenes, correlation, turn)

    return Scenario(
        about="fresh symbols correlated with the first source's, two sources or more",
        axis="correlation",
        config=fresh,
        levels=_levels(CORRELATION, mixed, fresh),
        sources_min=2,
    )


def _power(config: RunConfig) -> Scenario:
    """The receiver assumes path loss where there is none; at the last level it knows better."""
    faded, equal = (config.replace({"physics.power": law}) for law in ("free_space", "equal"))
    even = partial(with_equal_power, panel_of(config.physics))
    return Scenario(
        about="neither path loss nor fading, at the same SNR",
        axis="law of powers",
        config=faded,
        levels=(
            ScenarioLevel("free_space", _nothing, faded),
            ScenarioLevel("equal", even, faded),
            ScenarioLevel("equal, told", even, equal),
        ),
        undisturbed="free_space",
    )


def _pairs(config: RunConfig) -> Scenario:
    panel, view = panel_of(config.physics), config.data

    def beside(separation_deg: float, scenes: Scenes) -> Scenes:
        chance = scene_uniforms(scenes.truth, "bearings", (BEARINGS,))
        return with_close_pair(panel, scenes, separation_deg, view, chance)

    close = _levels(SEPARATION_DEG, beside, config)
    return Scenario(
        about="two sources at an angle in deg, each at the range it was drawn at",
        axis="separation (deg)",
        config=config,
        levels=(*close, ScenarioLevel("as drawn", partial(with_first_two, panel), config)),
        undisturbed="as drawn",
        sources_min=2,
    )


def _label(config: RunConfig) -> Scenario:
    def labelled(offset_db: float, scenes: Scenes) -> Scenes:
        return mislabelled(scenes, offset_db)

    return Scenario(
        about="the SNR told to the receiver is wrong, too high by so many dB",
        axis="told minus true SNR (dB)",
        config=config,
        levels=_levels(LABEL_DB, labelled, config, "+"),
    )


def _levels(
    amounts: Sequence[float],
    disturb: Callable[[float, Scenes], Scenes],
    receiver: RunConfig,
    sign: Literal["", "+"] = "",
) -> tuple[ScenarioLevel, ...]:
    """A level for each amount of one disturbance."""
    return tuple(
        ScenarioLevel(f"{each:{sign}g}" if each else "0", partial(disturb, each), receiver)
        for each in amounts
    )


def _nothing(scenes: Scenes) -> Scenes:
    return scenes


def _per_element(draw: Callable[..., Tensor], purpose: str, panel: Panel, scenes: Scenes) -> Tensor:
    """Draws for all elements of every scene, shared by its sources, (B, 1, N)."""
    return draw(scenes.truth, purpose, (1, panel.elements))


SCENARIOS: Final[Mapping[str, Callable[[RunConfig], Scenario]]] = {
    "wavefront": _wavefront,
    "amplitude": _amplitude,
    "amplitude-near": _amplitude_near,
    "phase": _phase,
    "dead": _dead,
    "coherent": _coherent,
    "power": _power,
    "pairs": _pairs,
    "label": _label,
}
"""Every scenario by its name, in the order in which to show them."""
