"""What every localiser must find under every wavefront: sources between the points of its grid."""

import pytest
import torch

from risexp.data.frames import Scenes
from risexp.evaluation.scene_scores import score_scenes
from risexp.physics.geometry import Wavefront
from tests.support.estimates import truth_of
from tests.support.localisation import (
    NOISELESS,
    SEPARATED,
    WAVEFRONTS,
    at_snr,
    config_of,
    echoes,
    found_exactly,
    holding,
    localiser,
    missed_scenes,
    off_grid,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.scenes import uniform

HELD = ("nomp", "nomp:bic", "nomp:aic", "music on label", "mvdr on label")
FIVE = ((-48.0, -14.0, 2.0), (-23.0, 16.0, 4.0), (3.0, -19.0, 1.0), (24.0, 9.0, 3.0))
SCENES = 8


def one_source(wavefront: Wavefront, *overrides: str) -> tuple[str, ...]:
    return (f"physics.wavefront={wavefront}", "data.sources_max=1", NOISELESS, *overrides)


def constellation() -> list[list[tuple[float, float, float]]]:
    """Five sources far apart, each a little elsewhere in every scene."""
    shift = uniform(-2.0, 2.0, SCENES, 5, 2, seed=11).tolist()
    places = (*FIVE, (49.0, -12.0, 4.5))
    return [
        [(phi + dx, theta + dy, r) for (phi, theta, r), (dx, dy) in zip(places, row, strict=True)]
        for row in shift
    ]


@for_each("wavefront", WAVEFRONTS)
@for_each("method", HELD)
def test_one_source_of_held_symbols_is_found_exactly(
    device: torch.device, method: str, wavefront: Wavefront
) -> None:
    config = config_of(*one_source(wavefront))
    scenes = scenes_of(config, 64, device)

    missed = missed_scenes(localiser(method, config)(scenes), scenes.truth)

    assert off_grid(config, scenes.truth) > 0.01
    assert int((scenes.truth.range_m <= 5.0).sum()) > 10
    assert [] == missed


@for_each("wavefront", WAVEFRONTS)
def test_one_source_of_fresh_symbols_is_found_exactly(
    device: torch.device, wavefront: Wavefront
) -> None:
    config = config_of(*one_source(wavefront, "physics.symbols=snapshot"))
    scenes = scenes_of(config, 32, device)

    missed = missed_scenes(localiser("nomp", config)(scenes), scenes.truth)

    assert off_grid(config, scenes.truth) > 0.01
    assert [] == missed


@for_each("wavefront", WAVEFRONTS)
@for_each("method", HELD)
def test_five_sources_of_held_symbols_far_apart_are_found_exactly(
    device: torch.device, method: str, wavefront: Wavefront
) -> None:
    config = config_of(f"physics.wavefront={wavefront}", NOISELESS, *SEPARATED)
    scenes = holding(scenes_of(config, 128, device), 5)

    missed = missed_scenes(localiser(method, config)(scenes), scenes.truth)

    assert len(scenes) > 15
    assert off_grid(config, scenes.truth) > 0.01
    assert [] == missed


@for_each("wavefront", WAVEFRONTS)
def test_five_sources_of_fresh_symbols_far_apart_are_found_exactly(
    device: torch.device, wavefront: Wavefront
) -> None:
    config = config_of(
        f"physics.wavefront={wavefront}", "physics.symbols=snapshot", "physics.power=equal"
    )
    truth = truth_of(*constellation(), device=device)
    scenes = echoes(config, truth)

    missed = missed_scenes(localiser("nomp", config)(scenes), scenes.truth)

    assert off_grid(config, scenes.truth) > 0.01
    assert [] == missed


@for_each("snr_db", [20.0, 40.0, 60.0, 90.0])
@for_each("rule", ["nomp", "nomp:bic"])
def test_the_count_of_held_symbols_is_right_however_little_noise_there_is(
    device: torch.device, rule: str, snr_db: float
) -> None:
    config = config_of(at_snr(snr_db), *SEPARATED)
    scenes = scenes_of(config, 24, device)

    found = localiser(rule, config)(scenes)

    assert scenes.truth.count.tolist() == found.count.tolist()


@for_each(("rule", "snr_db"), [("nomp", 20.0), ("nomp:bic", 90.0)])
def test_the_count_of_fresh_symbols_is_right_however_little_noise_there_is(
    device: torch.device, rule: str, snr_db: float
) -> None:
    config = config_of("physics.symbols=snapshot", at_snr(snr_db), *SEPARATED)
    scenes = scenes_of(config, 8, device)

    found = localiser(rule, config)(scenes)

    assert scenes.truth.count.tolist() == found.count.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("wavefront", WAVEFRONTS)
def test_nearly_all_constellations_of_fresh_symbols_are_found_exactly(
    device: torch.device, wavefront: Wavefront
) -> None:
    """A greedy search may start with a ghost of several sources and never give it up."""
    config = config_of(
        f"physics.wavefront={wavefront}", "physics.symbols=snapshot", NOISELESS, *SEPARATED
    )
    scenes = holding(scenes_of(config, 1024, device), 5)

    found = localiser("nomp", config)(scenes)

    assert float(found_exactly(found, scenes.truth).double().mean()) > 0.95


@for_each(
    ("panel", "symbols"),
    [((24, 6), "frame"), ((5, 16), "frame"), ((6, 6), "frame"), ((6, 6), "snapshot")],
)
def test_a_panel_of_another_shape_finds_its_source(
    device: torch.device, panel: tuple[int, int], symbols: str
) -> None:
    config = config_of(
        f"physics.elements_h={panel[0]}",
        f"physics.elements_v={panel[1]}",
        f"physics.symbols={symbols}",
        "data.sources_max=1",
        NOISELESS,
    )
    scenes = scenes_of(config, 32, device)

    for method in ("nomp", "music on label", "mvdr on label"):
        missed = missed_scenes(localiser(method, config)(scenes), scenes.truth)

        assert [] == missed


def test_a_panel_of_several_hundred_elements_finds_its_source(device: torch.device) -> None:
    config = config_of("data.sources_max=1", NOISELESS, preset="large-panel")
    scenes = scenes_of(config, 4, device)

    missed = missed_scenes(localiser("nomp", config)(scenes), scenes.truth)

    assert [] == missed


@for_each("method", ["nomp", "music on label", "mvdr on label"])
@for_each(
    "view",
    [
        ("data.phi_deg=[-60,-10]", "data.theta_deg=[-30,30]"),
        ("data.phi_deg=[-75,75]", "data.theta_deg=[-75,75]"),
        ("data.phi_deg=[35,60]", "data.theta_deg=[-75,75]"),
    ],
)
def test_a_source_is_found_wherever_the_field_of_view_reaches(
    device: torch.device, method: str, view: tuple[str, str]
) -> None:
    config = config_of("data.sources_max=1", NOISELESS, *view)
    scenes = scenes_of(config, 64, device)

    found = localiser(method, config)(scenes)

    near = (found.phi_rad - scenes.truth.phi_rad).abs().rad2deg() < 0.1
    near &= (found.theta_rad - scenes.truth.theta_rad).abs().rad2deg() < 0.1
    assert 0 == int((~near).sum())


def scene_pairs(device: torch.device) -> Scenes:
    """Two sources 3 degrees apart, at the same range or not."""
    rows = [
        [(phi, theta, 1.5), (phi + 3.0 * dx, theta + 3.0 * dy, 1.5 + dr)]
        for phi in (-41.3, -7.9, 33.1)
        for theta in (-13.7, 4.3)
        for dx, dy, dr in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.7, 0.7, 0.4))
    ]
    return echoes(config_of(), truth_of(*rows, device=device))


def test_music_separates_sources_three_degrees_apart(device: torch.device) -> None:
    scenes = scene_pairs(device)

    found = localiser("music on label", config_of())(scenes)

    errors = score_scenes(found, scenes.truth).matching.errors[scenes.truth.present].abs().amax(0)
    assert float(errors[:2].max()) < 5e-3
    assert float(errors[2]) < 1e-4
