"""What a receiver knows: the view, and the noise of a frame."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.errors import DataInvalid
from risexp.estimation.receiver_model import View, noise_power
from risexp.inference.estimate import Estimate
from risexp.physics.geometry import direction_cosines
from tests.support.localisation import (
    anywhere,
    at_snr,
    config_of,
    localiser,
    plain_operator,
    scenes_of,
    with_frames,
)
from tests.support.looping import for_each
from tests.support.scenes import uniform, worst

DEFAULT = View.of(DataConfig())
NARROW = View.of(DataConfig(phi_deg=(20.0, 50.0), theta_deg=(-10.0, 70.0), range_m=(1.0, 3.0)))
FIXED = View.of(DataConfig(phi_deg=(10.0, 10.0), theta_deg=(-5.0, -5.0), range_m=(2.0, 2.0)))
VIEWS = (DEFAULT, NARROW, FIXED)


def scattered(count: int, seed: int) -> Tensor:
    """Points in and around every view, (count, 3) float32."""
    spans = ((-1.2, 1.2), (-1.0, 1.0), (-0.5, 4.0))
    rows = [uniform(*span, count, seed=3 * seed + k) for k, span in enumerate(spans)]
    return torch.stack(rows, dim=-1).float()


def test_degrees_and_metres_of_a_configuration_become_radians_and_inverse_metres() -> None:
    view = View.of(DataConfig(phi_deg=(-90.0 + 1e-9, 30.0), theta_deg=(0.0, 30.0), sources_max=3))

    assert pytest.approx((-math.pi / 2, math.pi / 6)) == view.phi_rad
    assert pytest.approx((0.0, 0.5)) == view.v
    assert pytest.approx((0.1, 2.0)) == view.rho
    assert 3 == view.sources_max


@pytest.mark.parametrize("view", VIEWS)
@given(seed=st.integers(0, 2**31))
def test_clamping_twice_is_clamping_once_and_spares_what_lies_inside(view: View, seed: int) -> None:
    points = scattered(64, seed)

    once = view.clamp(points)

    assert torch.allclose(once, view.clamp(once), atol=1e-6)
    u, v, rho = once.double().unbind(-1)
    theta = v.asin()
    phi = (u / theta.cos()).clamp(-1.0, 1.0).asin()
    for value, (low, high) in ((phi, view.phi_rad), (theta, view.theta_rad), (rho, view.rho)):
        assert bool((value >= low - 1e-5).all())
        assert bool((value <= high + 1e-5).all())


@given(seed=st.integers(0, 2**31))
def test_sources_that_are_drawn_are_not_moved_by_clamping(seed: int) -> None:
    points = anywhere(config_of(), 64, seed)

    assert torch.equal(points, DEFAULT.clamp(points))


def test_a_coordinate_is_held_only_at_its_limit_and_pushed_against_it() -> None:
    top = math.sin(math.radians(30.0))
    edge = math.sin(math.radians(60.0)) * math.cos(math.radians(30.0))
    corner = torch.tensor([[edge, top, 2.0], [-edge, -top, 0.1], [0.1, 0.2, 1.0]])
    outward = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0], [1.0, -1.0, 1.0]])

    assert [[True] * 3, [True] * 3, [False] * 3] == DEFAULT.held(corner, outward).tolist()
    assert not bool(DEFAULT.held(corner, -outward).any())
    assert not bool(DEFAULT.held(corner, torch.zeros_like(corner)).any())


@given(seed=st.integers(0, 2**31))
def test_what_has_no_width_is_held_whatever_pushes(seed: int) -> None:
    points = FIXED.clamp(scattered(16, seed))
    push = uniform(-1.0, 1.0, 16, 3, seed=seed)

    assert bool(FIXED.held(points, push).all())


@for_each("view", [DEFAULT, NARROW])
def test_the_density_of_directions_integrates_to_one(view: View) -> None:
    """Each cell of (phi, theta) fills an area of (u, v), and has its share of the probability."""
    cells = 400
    corners = [
        torch.linspace(low, high, cells + 1, dtype=torch.float64)
        for low, high in (view.phi_rad, view.theta_rad)
    ]
    phi, theta = torch.meshgrid(*corners, indexing="ij")
    u, v = direction_cosines(phi, theta)
    along, up = (torch.stack([u, v], -1)[1:, :-1], torch.stack([u, v], -1)[:-1, 1:])
    here = torch.stack([u, v], -1)[:-1, :-1]
    one, two = along - here, up - here
    area = (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]).abs()
    middle = direction_cosines(*(0.5 * (x[1:, 1:] + x[:-1, :-1]) for x in (phi, theta)))
    points = torch.stack([*middle, torch.ones_like(middle[0])], dim=-1)

    share = view.log_direction_density(points).exp() * area

    assert pytest.approx(1.0, abs=5e-3) == float(share.sum())
    assert pytest.approx(1.0, abs=2e-2) == float(share.max() / share.min())


def outside(found: Estimate, data: DataConfig) -> dict[str, float]:
    """By how much the answered sources leave the field of view at most, in deg and m."""
    kept = found.present
    rows = {
        "phi": (found.phi_rad[kept].rad2deg(), data.phi_deg),
        "theta": (found.theta_rad[kept].rad2deg(), data.theta_deg),
        "range": (found.range_m[kept], data.range_m),
    }
    return {
        name: float(torch.maximum(low - value, value - high).max())
        for name, (value, (low, high)) in rows.items()
    }


@for_each("method", ["nomp:aic", "music:true-k", "mvdr:true-k"])
@for_each(("symbols", "count"), [("frame", 64), ("snapshot", 12)])
def test_no_answer_lies_where_no_source_can_stand(
    device: torch.device, symbols: str, count: int, method: str
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")

    excess = outside(localiser(method, config)(scenes_of(config, count, device)), config.data)

    assert max(excess.values()) < 1e-3


def test_with_an_snr_it_is_its_share_of_the_power(device: torch.device) -> None:
    frames = scenes_of(config_of(), 16, device).frames
    assert frames.snr_db is not None
    power = frames.y.abs().square().double().mean((-2, -1))
    expected = power / (1.0 + 10.0 ** (frames.snr_db.double() / 10.0))

    assert worst(torch.ones_like(expected), noise_power(frames, "frame") / expected) < 1e-6


@for_each("snr_db", [-5.0, 10.0, 30.0])
def test_without_one_it_is_measured_without_bias(device: torch.device, snr_db: float) -> None:
    scenes = scenes_of(config_of(at_snr(snr_db), preset="smoke"), 256, device)

    measured = noise_power(with_frames(scenes, snr_db=None).frames, "frame")

    ratio = measured / scenes.truth.noise_power.double()
    freedom = scenes.frames.y[0].numel() - 36
    assert pytest.approx(1.0, abs=4.0 / (freedom * 256) ** 0.5) == float(ratio.mean())
    assert pytest.approx(freedom**-0.5, rel=0.2) == float(ratio.std())


def test_it_is_the_energy_that_no_field_on_the_panel_explains(device: torch.device) -> None:
    scenes = with_frames(scenes_of(config_of(preset="smoke"), 4, device), snr_db=None)
    operator, y = plain_operator(scenes.frames), scenes.frames.y.flatten(1).to(torch.complex128)
    basis = torch.linalg.qr(operator).Q
    left = y.unsqueeze(-1) - basis @ (basis.mH @ y.unsqueeze(-1))
    expected = left.abs().square().sum((-2, -1)) / (operator.shape[-2] - operator.shape[-1])

    assert worst(expected, noise_power(scenes.frames, "frame")) < 1e-6


@for_each("told", [True, False])
def test_a_scale_of_the_measurements_is_a_scale_of_the_noise_which_is_never_nothing(
    device: torch.device, *, told: bool
) -> None:
    scenes = scenes_of(config_of(), 8, device)
    scenes = scenes if told else with_frames(scenes, snr_db=None)

    plain, louder, silent = (
        noise_power(with_frames(scenes, y=times * scenes.frames.y).frames, "frame").cpu()
        for times in (1.0, 1e3, 0.0)
    )

    assert worst(torch.ones(8).double(), louder / plain / 1e6) < 1e-5
    assert bool((silent > 0.0).all())


def test_as_many_samples_as_elements_show_none(device: torch.device) -> None:
    config = config_of("physics.antennas=12", "physics.snapshots=12")
    frames = with_frames(scenes_of(config, 2, device), snr_db=None).frames

    with pytest.raises(DataInvalid, match=r"^144 samples of 144 elements [^\n]* give snr_db"):
        noise_power(frames, "frame")


def test_codes_of_each_scene_are_as_good_as_shared_ones(device: torch.device) -> None:
    scenes = with_frames(scenes_of(config_of(preset="smoke"), 4, device), snr_db=None)
    own = with_frames(scenes, codes=scenes.frames.codes.expand(4, -1, -1))

    assert worst(noise_power(scenes.frames, "frame"), noise_power(own.frames, "frame")) < 1e-9
