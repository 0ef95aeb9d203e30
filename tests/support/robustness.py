"""Scenarios on the smallest panel, and tables of what they cost methods that are no methods."""

from collections.abc import Mapping
from dataclasses import replace

from risexp.app.benchmark.methods import Method
from risexp.app.benchmark.robustness.measure import RobustnessTable, measure_robustness
from risexp.app.benchmark.robustness.scenarios import Scenario, chosen_scenarios
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.inference.estimate import Estimate
from tests.support.accuracy import SMOKE, accurate, silent, snr_of
from tests.support.estimates import perfect, with_count

SCENES = 24
BUILT = chosen_scenarios(["all"], SMOKE)


def moody(scenes: Scenes) -> Estimate:
    """Right where the SNR is told right, silent where it is not."""
    right = (snr_of(scenes) - 10.0).abs() < 1e-3
    return with_count(perfect(scenes.truth), scenes.truth.count * right)


METHODS: Mapping[str, Method] = {"accurate": accurate, "moody": moody, "silent": silent}


def measured(
    *names: str,
    methods: Mapping[str, Method] = METHODS,
    snr_db: tuple[float, ...] = (10.0,),
    scenes: int = SCENES,
) -> RobustnessTable:
    """A table of methods that are no methods."""
    chosen = {name: BUILT[name] for name in names}
    return measure_robustness(SMOKE, lambda _: methods, chosen, snr_db, scenes, lambda _: None)


def drawn(scenario: Scenario, scenes: int = SCENES) -> Scenes:
    """Scenes of a scenario before they are disturbed, as many as hold enough sources of these."""
    config = scenario.config.replace({"data.snr_db": [10.0, 10.0]})
    found = SceneGenerator(config.physics, config.data).scenes("test", 0, scenes)
    kept = found.truth.count >= scenario.sources_min
    frames, truth = found.frames, found.truth
    return Scenes(
        replace(frames, y=frames.y[kept], channel=frames.channel[kept], snr_db=snr_of(found)[kept]),
        type(truth)(*(value[kept] for _, value in truth.items())),
    )
