"""Refinement of positions: downhill to the source, inside the view, by damped steps."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.estimation.descent import damped_step, refine
from risexp.estimation.projection import project
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.geometry import Wavefront
from tests.estimation.equations import plain_equations, single
from tests.support.localisation import (
    NOISELESS,
    WAVEFRONTS,
    anywhere,
    config_of,
    points_of,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.scenes import any_device, gaussian, uniform, worst


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
