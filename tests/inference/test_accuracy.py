"""What every localiser must find under every wavefront: sources between the points of its grid."""

import pytest
import torch

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

HELD = ("nomp", "music on label", "mvdr on label")
FIVE = (
    *((-48.0, -14.0, 2.0), (-23.0, 16.0, 4.0), (3.0, -19.0, 1.0), (24.0, 9.0, 3.0)),
    (49.0, -12.0, 4.5),
)


@for_each("wavefront", WAVEFRONTS)
@for_each("method", HELD)
def test_five_sources_of_held_symbols_far_apart_are_found_exactly(
    device: torch.device, method: str, wavefront: Wavefront
) -> None:
    config = config_of(f"physics.wavefront={wavefront}", NOISELESS, *SEPARATED)
    scenes = holding(scenes_of(config, 64, device), 5)

    missed = missed_scenes(localiser(method, config)(scenes), scenes.truth)

    assert len(scenes) > 8
    assert off_grid(config, scenes.truth) > 0.01
    assert int((scenes.truth.range_m <= 5.0).sum()) > 10
    assert [] == missed


@for_each("wavefront", WAVEFRONTS)
def test_five_sources_of_fresh_symbols_far_apart_are_found_exactly(
    device: torch.device, wavefront: Wavefront
) -> None:
    """Each a little elsewhere in every scene."""
    config = config_of(
        f"physics.wavefront={wavefront}", "physics.symbols=snapshot", "physics.power=equal"
    )
    rows = [
        [(phi + dx, theta + dy, r) for (phi, theta, r), (dx, dy) in zip(FIVE, row, strict=True)]
        for row in uniform(-2.0, 2.0, 4, 5, 2, seed=11).tolist()
    ]
    scenes = echoes(config, truth_of(*rows, device=device))

    missed = missed_scenes(localiser("nomp", config)(scenes), scenes.truth)

    assert off_grid(config, scenes.truth) > 0.01
    assert [] == missed


@for_each(
    ("symbols", "rule", "snr_db", "count"),
    [
        *(("frame", rule, snr_db, 24) for rule in ("nomp", "nomp:bic") for snr_db in (20.0, 90.0)),
        *(("snapshot", "nomp", 20.0, 8), ("snapshot", "nomp:bic", 90.0, 8)),
    ],
)
def test_the_count_is_right_however_little_noise_there_is(
    device: torch.device, symbols: str, rule: str, snr_db: float, count: int
) -> None:
    config = config_of(f"physics.symbols={symbols}", at_snr(snr_db), *SEPARATED)
    scenes = scenes_of(config, count, device)

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
    ("wide", "high", "symbols", "count"),
    [
        *((24, 6, "frame", 32), (5, 16, "frame", 32), (20, 18, "frame", 4)),
        *((6, 6, "frame", 32), (6, 6, "snapshot", 32)),
    ],
)
def test_a_panel_of_another_shape_finds_its_source(
    device: torch.device, wide: int, high: int, symbols: str, count: int
) -> None:
    panel = (f"physics.elements_h={wide}", f"physics.elements_v={high}", "physics.snapshots=24")
    config = config_of(*panel, f"physics.symbols={symbols}", "data.sources_max=1", NOISELESS)
    scenes = scenes_of(config, count, device)

    for method in HELD:
        missed = missed_scenes(localiser(method, config)(scenes), scenes.truth)

        assert [] == missed, method


@for_each("method", HELD)
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


def test_music_separates_sources_three_degrees_apart(device: torch.device) -> None:
    """At the same range or not."""
    rows = [
        [(phi, theta, 1.5), (phi + 3.0 * dx, theta + 3.0 * dy, 1.5 + dr)]
        for phi in (-41.3, -7.9, 33.1)
        for theta in (-13.7, 4.3)
        for dx, dy, dr in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.7, 0.7, 0.4))
    ]
    scenes = echoes(config_of(), truth_of(*rows, device=device))

    found = localiser("music on label", config_of())(scenes)

    errors = score_scenes(found, scenes.truth).matching.errors[scenes.truth.present].abs().amax(0)
    assert float(errors[:2].max()) < 5e-3
    assert float(errors[2]) < 1e-4
