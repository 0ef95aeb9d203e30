"""Least squares over positions: explicit solutions, and refinement downhill inside the view."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.data.scenes import panel_of
from risexp.estimation.descent import advance, approach, damped_step, refine
from risexp.estimation.projection import Equations, loaded_root, project
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.bounds import Sources, frame_bound
from risexp.physics.geometry import Wavefront
from risexp.physics.steering import steering_vector
from tests.estimation.equations import plain_equations, single, turning
from tests.support.localisation import (
    NOISELESS,
    WAVEFRONTS,
    anywhere,
    at_snr,
    config_of,
    holding,
    plain_measured,
    plain_misfit,
    plain_operator,
    points_of,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.scenes import any_device, gaussian, slope, uniform, worst


def along(points: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Slopes of a function of points (B, k, 3), over u of all sources, then v, then rho."""
    columns = []
    for axis in range(3):
        for source in range(points.shape[1]):
            unit = torch.zeros_like(points)
            unit[:, source, axis] = 1.0
            columns.append(slope(partial(_aside, function, points, unit)))
    return torch.stack(columns, dim=-1)


def _aside(
    function: Callable[[Tensor], Tensor], points: Tensor, unit: Tensor, step: float
) -> Tensor:
    return function(points + step * unit)


def small_case(wavefront: Wavefront, count: int = 2) -> tuple[RunConfig, Frames, Tensor]:
    """Noisy scenes of the small panel, and points that are nobody's best."""
    config = config_of(f"physics.wavefront={wavefront}", at_snr(5.0), preset="smoke")
    return (
        config,
        scenes_of(config, 3).frames,
        anywhere(config, 3 * count, seed=4).view(3, count, 3),
    )


@for_each("count", [1, 2, 3])
@for_each("wavefront", WAVEFRONTS)
def test_misfit_gains_and_slope_are_those_of_least_squares(
    wavefront: Wavefront, count: int
) -> None:
    config, frames, points = small_case(wavefront, count)

    found = project(panel_of(config.physics), plain_equations(frames), points)

    response = (
        plain_operator(frames) @ steering_vector(panel_of(config.physics), *points.unbind(-1)).mT
    )
    gains = torch.linalg.lstsq(response, plain_measured(frames).unsqueeze(-1)).solution
    expected = along(points, lambda each: plain_misfit(config, frames, each))
    assert worst(plain_misfit(config, frames, points), found.misfit) < 1e-7
    assert worst(gains, found.gains) < 1e-6
    assert worst(-0.5 * expected, found.slope) < 1e-6
    assert worst(response.mH @ response, found.overlap) < 1e-12


@for_each("wavefront", ["spherical", "parabolic"])
def test_curvature_at_the_truth_inverts_to_the_cramer_rao_bound(wavefront: Wavefront) -> None:
    """2 / sigma^2 times the curvature is the information about positions, gains projected out."""
    config = config_of(f"physics.wavefront={wavefront}", NOISELESS, "data.separation_deg=20")
    scenes = holding(scenes_of(config, 32), 3)
    truth, frames = scenes.truth, scenes.frames
    truth = replace(
        truth, phi_rad=truth.phi_rad[:, :3], theta_rad=truth.theta_rad[:, :3],
        range_m=truth.range_m[:, :3], amplitude=truth.amplitude[:, :3],
        symbols=truth.symbols[..., :3],
    )  # fmt: skip
    points = points_of(truth)
    noise = truth.noise_power.double()
    expected = frame_bound(
        panel_of(config.physics),
        frames.channel,
        frames.codes,
        Sources(truth.phi_rad, truth.theta_rad, truth.range_m, truth.present),
        truth.gains[:, 0],
        noise,
    )

    found = project(panel_of(config.physics), plain_equations(frames), points)

    information = 2.0 / noise[:, None, None] * found.curvature
    turned = turning(truth.phi_rad, truth.theta_rad, truth.range_m)
    bound = torch.linalg.inv(turned.mT @ information @ turned)
    ratio = (bound.diagonal(dim1=-2, dim2=-1) / expected.diagonal(dim1=-2, dim2=-1)).log()
    assert float(ratio.abs().max()) < 1e-3


@for_each("steps", [1, 2, 4])
def test_an_approach_ends_where_an_advance_does(steps: int) -> None:
    config, frames, points = small_case("spherical")
    receiver = ReceiverModel.of(config)
    equations = plain_equations(frames)
    never = torch.zeros_like(equations.energy)

    far = advance(receiver, equations, points, never, steps)
    near = approach(receiver, equations, points, never, steps)

    assert not torch.equal(far.points, receiver.view.clamp(points))
    assert worst(near.points, far.points) < 1e-12
    assert worst(near.gains, far.gains) < 1e-9
    assert worst(near.misfit, far.misfit) < 1e-9
    assert worst(near.seen, far.seen) < 1e-9


def test_without_a_channel_sources_are_fitted_to_a_subspace_itself() -> None:
    shape = panel_of(config_of(preset="smoke").physics)
    basis = torch.linalg.qr(gaussian(3, 36, 2)).Q
    equations = Equations(None, basis, torch.full((3,), 2.0, dtype=torch.float64))
    points = anywhere(config_of(), 6, seed=2).view(3, 2, 3)

    def misfit(each: Tensor) -> Tensor:
        waves = torch.linalg.qr(steering_vector(shape, *each.unbind(-1)).mT).Q
        left: Tensor = basis - waves @ (waves.mH @ basis)
        return left.abs().square().sum((-2, -1))

    found = project(shape, equations, points)

    assert worst(misfit(points), found.misfit) < 1e-7
    assert worst(-0.5 * along(points, misfit), found.slope) < 1e-6
    assert worst(torch.ones(3), equations.strength()) < 1e-12


def test_strength_is_the_mean_over_all_waves() -> None:
    frames = scenes_of(config_of(preset="smoke"), 3).frames
    equations = plain_equations(frames)
    operator = plain_operator(frames)
    waves = gaussian(3, 36, 4000, seed=3)
    unit = waves / waves.abs().square().sum(-2, keepdim=True).sqrt()

    expected = (operator @ unit).abs().square().sum(-2).mean(-1)

    assert worst(expected, equations.strength()) < 0.05


def test_an_absent_source_takes_no_part() -> None:
    config, frames, points = small_case("spherical", count=3)
    equations = plain_equations(frames)
    shape = panel_of(config.physics)
    present = torch.tensor([[True, False, True]] * 3)
    kept = [0, 2, 3, 5, 6, 8]

    found = project(shape, equations, points, present)

    alone = project(shape, equations, points[:, [0, 2]])
    assert worst(alone.misfit, found.misfit) < 1e-6
    assert worst(alone.slope, found.slope[:, kept]) < 1e-6
    assert worst(alone.curvature, found.curvature[:, kept][:, :, kept]) < 1e-6
    assert 0.0 == float(found.slope[:, [1, 4, 7]].abs().max())
    moved = refine(
        ReceiverModel.of(config),
        single(equations),
        points.float(),
        torch.full((3,), 1e-9, dtype=torch.float64),
        present,
    )
    assert torch.equal(points[:, 1].float(), moved.points[:, 1])


@for_each("apart", [0.0, 1e-7, 1e-5, 1e-3])
@for_each("dtype", [torch.complex64, torch.complex128])
def test_the_root_of_an_overlap_of_near_twins_is_finite(
    device: torch.device, apart: float, dtype: torch.dtype
) -> None:
    """An overlap summed in single precision may miss being positive by more than its load."""
    scenes = scenes_of(config_of(), 16, device)
    equations = plain_equations(scenes.frames)
    assert equations.gram is not None
    base = anywhere(config_of(), 16, seed=3).unsqueeze(1).to(device)
    points = torch.cat([base, base + apart, base - apart, base + 2 * apart], dim=1)
    real = torch.float32 if dtype == torch.complex64 else torch.float64
    waves = steering_vector(panel_of(config_of().physics), *points.to(real).unbind(-1))
    overlap = (waves.conj() @ equations.gram.to(dtype) @ waves.mT).to(torch.complex128)

    root = loaded_root(overlap)

    assert bool(root.isfinite().all())
    assert worst(overlap, root @ root.mH) < 1e-5


@any_device
@given(seed=st.integers(0, 2**31), count=st.integers(1, 4))
def test_no_refinement_raises_the_misfit_or_leaves_the_view(
    *, device: torch.device, seed: int, count: int
) -> None:
    config = config_of(preset="smoke")
    receiver = ReceiverModel.of(config)
    frames = scenes_of(config, 8, device).frames
    equations = single(plain_equations(frames))
    points = anywhere(config, 8 * count, seed % 1000).view(8, count, 3).float().to(device)
    start = project(receiver.panel, equations, points)

    end = refine(receiver, equations, points, 1e-9 * equations.energy)

    assert bool((end.misfit <= start.misfit + 2e-5 * equations.energy).all())
    assert torch.allclose(end.points, receiver.view.clamp(end.points), atol=1e-6)
    again = project(receiver.panel, equations, end.points)
    assert worst(again.misfit, end.misfit) < 1e-9


@for_each("wavefront", WAVEFRONTS)
def test_refinement_slides_down_to_the_source_from_half_a_beam_away(
    device: torch.device, wavefront: Wavefront
) -> None:
    config = config_of(f"physics.wavefront={wavefront}", "data.sources_max=1", NOISELESS)
    scenes = scenes_of(config, 32, device)
    true = points_of(scenes.truth)
    aside = torch.tensor([0.03, -0.03, 0.1], dtype=torch.float64, device=device)
    receiver = ReceiverModel.of(config)
    start = receiver.view.clamp((true + aside).float())
    equations = single(plain_equations(scenes.frames))

    end = refine(receiver, equations, start, 1e-12 * equations.energy)

    off = (end.points.double() - true).abs().flatten(0, 1).amax(0)
    assert float(off[:2].max()) < 1e-5
    assert float(off[2]) < 1e-4


def test_a_damped_step_solves_its_system_and_holds_what_is_held() -> None:
    root = gaussian(4, 6, 6, seed=1).real
    curvature = root @ root.mT
    pull = uniform(-1.0, 1.0, 4, 6, seed=2)
    damping = torch.tensor([0.0, 0.1, 1.0, 1e6], dtype=torch.float64)
    still = torch.zeros(4, 6, dtype=torch.bool)
    still[:, 2] = True
    free = [0, 1, 3, 4, 5]
    inner = curvature[:, free][:, :, free]
    loaded = inner + damping[:, None, None] * inner.diagonal(dim1=-2, dim2=-1).diag_embed()

    step = damped_step(pull, curvature, damping, still)

    assert worst(torch.linalg.solve(loaded, pull[:, free]), step[:, free]) < 1e-9
    assert 0.0 == float(step[:, 2].abs().max())


def test_a_source_without_any_slope_stays_where_it_is() -> None:
    nothing = torch.zeros(2, 6, dtype=torch.float64)
    nowhere = torch.zeros(2, 6, 6, dtype=torch.float64)

    step = damped_step(
        nothing, nowhere, torch.full((2,), 1e-3).double(), torch.zeros(2, 6, dtype=torch.bool)
    )

    assert torch.equal(nothing, step)
