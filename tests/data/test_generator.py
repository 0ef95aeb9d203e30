"""The statistics of the generator, and the promise that a scene's bits depend on its place only."""

import math
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.sections import DataConfig, PhysicsConfig, Wavefront
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, source_snr_db
from risexp.data.streams import BLOCK, SPLITS
from risexp.errors import ConfigInvalid
from tests.scenes import any_device

MANY = 4096
SMALL = load_config(preset="smoke").config.physics
"""A 6 x 6 panel: where statistics do not matter, its scenes are quick."""


@cache
def drawn(device: torch.device, *overrides: str, count: int = MANY) -> Scenes:
    """Scenes of the default configuration with some fields changed, drawn once."""
    config = load_config(overrides=overrides).config
    return SceneGenerator(config.physics, config.data, device).scenes("test", 0, count)


def plain(scenes: Scenes, physics: PhysicsConfig) -> NDArray[np.complex128]:
    """H diag(c_l) sum_k a_k amplitude_k s_kl from the truth alone, plainly and in float64."""
    truth, frames = scenes.truth.to("cpu"), scenes.frames.to("cpu")
    present = truth.present.numpy()
    phi, theta, far = (
        np.where(present, value.numpy(), 1.0)
        for value in (truth.phi_rad, truth.theta_rad, truth.range_m)
    )
    spacing = physics.spacing_wavelengths * physics.wavelength_m
    h = (np.arange(physics.elements_h) - (physics.elements_h - 1) / 2) * spacing
    v = (np.arange(physics.elements_v) - (physics.elements_v - 1) / 2) * spacing
    elements = np.array([[at_h, at_v, 0.0] for at_v in v for at_h in h])
    towards = np.stack(
        [np.sin(phi) * np.cos(theta), np.sin(theta), np.cos(phi) * np.cos(theta)], axis=-1
    )
    sources = far[..., None] * towards
    longer = np.linalg.norm(sources[:, :, None] - elements, axis=-1) - far[..., None]
    steering = np.exp(-2j * math.pi / physics.wavelength_m * longer) / math.sqrt(len(elements))
    gains = (present * truth.amplitude.numpy())[:, None] * truth.symbols.numpy()
    field = gains.astype(np.complex128) @ steering
    codes = frames.codes.numpy().astype(np.complex128)
    channel = frames.channel.numpy().astype(np.complex128)
    return np.asarray((codes * field) @ channel.swapaxes(1, 2))


@cache
def clean_and_noise(device: torch.device) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean power of each default scene's clean signal and of what is left of y, both (B,)."""
    scenes, powers = drawn(device), []
    for first in range(0, MANY, 512):
        part = scenes[first : first + 512]
        clean = plain(part, PhysicsConfig())
        left = part.frames.y.cpu().numpy() - clean
        powers.append([np.mean(np.abs(value) ** 2, axis=(1, 2)) for value in (clean, left)])
    clean_power, noise_power = np.concatenate(powers, axis=1)
    return clean_power, noise_power


def spread(values: Tensor, low: float, high: float) -> float:
    """Kolmogorov's distance of the values from a uniform law, times the root of their number."""
    ordered = ((values.double().flatten() - low) / (high - low)).sort().values.cpu()
    steps = torch.arange(1, len(ordered) + 1, dtype=torch.float64) / len(ordered)
    return float((ordered - steps).abs().max() * math.sqrt(len(ordered)))


UNLIKELY = 1.95
"""A truly uniform sample is further out in one of a thousand cases."""


def test_the_snr_is_what_the_label_says(device: torch.device) -> None:
    clean, noise = clean_and_noise(device)
    label_db = snr_db_of(drawn(device))

    measured_db = 10.0 * np.log10(clean / noise)

    # One scene's noise is 256 samples: 0.27 dB of its own, 0.004 dB in the mean.
    assert abs(float(np.mean(measured_db - label_db))) < 0.02
    assert float(np.std(measured_db - label_db)) < 0.3


def test_the_snr_is_what_the_label_says_at_both_ends(device: torch.device) -> None:
    clean, noise = clean_and_noise(device)
    label_db = snr_db_of(drawn(device))

    for ends in (label_db < 0.0, label_db > 15.0):
        measured_db = 10.0 * np.log10(clean[ends] / noise[ends])
        assert abs(float(np.mean(measured_db - label_db[ends]))) < 0.05


def test_the_noise_power_in_the_truth_is_that_of_the_noise(device: torch.device) -> None:
    clean, noise = clean_and_noise(device)
    stated = drawn(device).truth.noise_power.cpu().numpy()

    assert pytest.approx(1.0, abs=0.01) == float(np.mean(noise / stated))
    label = 10.0 ** (snr_db_of(drawn(device)) / 10.0)
    assert float(np.max(np.abs(clean / stated / label - 1.0))) < 1e-4


def snr_db_of(scenes: Scenes) -> NDArray[np.float64]:
    assert scenes.frames.snr_db is not None
    return scenes.frames.snr_db.cpu().double().numpy()


def test_the_snr_is_uniform_over_its_interval(device: torch.device) -> None:
    snr_db = drawn(device).frames.snr_db

    assert snr_db is not None
    assert float(snr_db.min()) >= -5.0
    assert float(snr_db.max()) <= 20.0
    assert spread(snr_db, -5.0, 20.0) < UNLIKELY


@pytest.mark.parametrize("wavefront", get_args(Wavefront))
@pytest.mark.parametrize("symbols", ["frame", "snapshot"])
def test_y_is_the_stated_formula_up_to_the_noise(
    device: torch.device, wavefront: Wavefront, symbols: str
) -> None:
    config = load_config(
        preset="smoke",
        overrides=[
            f"physics.wavefront={wavefront}",
            f"physics.symbols={symbols}",
            "data.snr_db=[90,90]",
        ],
    ).config
    scenes = SceneGenerator(config.physics, config.data, device).scenes("train", 0, 64)

    clean = plain(scenes, config.physics)

    away = np.linalg.norm(scenes.frames.y.cpu().numpy() - clean) / np.linalg.norm(clean)
    # `plain` is the spherical wave; the other two models are others, as they should be.
    assert away < 1e-4 if wavefront == "spherical" else away > 1e-2


@pytest.mark.parametrize("power", ["free_space", "equal"])
def test_the_channel_has_as_much_energy_as_the_panel_has_elements(
    device: torch.device, power: str
) -> None:
    scenes = drawn(device, f"physics.power={power}") if power == "equal" else drawn(device)

    energy = scenes.frames.channel.abs().square().sum((1, 2)).double()

    # The scattered part's energy alone spreads by 144 / sqrt(16 * 144) = 3 a scene.
    assert pytest.approx(144.0, abs=0.2) == float(energy.mean())
    assert 2.0 < float(energy.std()) < 6.0


@pytest.mark.parametrize(("rician_db", "widest"), [(-100, 3.2), (0, 10.0), (100, 1e-2)])
def test_both_parts_of_the_channel_have_the_same_energy(
    device: torch.device, rician_db: int, widest: float
) -> None:
    scenes = drawn(device, f"physics.rician_db=[{rician_db},{rician_db}]", count=1024)

    energy = scenes.frames.channel.abs().square().sum((1, 2)).double()

    assert abs(float(energy.mean()) - 144.0) < 0.15 * widest
    assert float(energy.std()) < widest


def test_the_line_of_sight_takes_its_share_of_the_channel(device: torch.device) -> None:
    weak = drawn(device, "physics.rician_db=[-24,-24]", count=1024).frames.channel
    strong = drawn(device, "physics.rician_db=[-11,-11]", count=1024).frames.channel

    # The largest singular value of pure scattering is (sqrt(144) + sqrt(16))^2 / 16 = 16 at most.
    loudest = [torch.linalg.matrix_norm(h, ord=2).square().mean() for h in (weak, strong)]

    assert float(loudest[1]) > float(loudest[0]) + 2.0


def test_the_number_of_sources_is_uniform(device: torch.device) -> None:
    counts = torch.bincount(drawn(device).truth.count.cpu(), minlength=6)[1:]

    expected = MANY / 5
    chi_square = float(((counts - expected).square() / expected).sum())
    assert len(counts) == 5
    # 18.5 is exceeded in one of a thousand samples with four degrees of freedom.
    assert chi_square < 18.5


def test_positions_are_uniform_over_the_field_of_view(device: torch.device) -> None:
    truth = drawn(device).truth
    fields = (
        (truth.phi_rad.rad2deg(), -60.0, 60.0),
        (truth.theta_rad.rad2deg(), -30.0, 30.0),
        (truth.range_m, 0.5, 10.0),
    )

    for values, low, high in fields:
        of_sources = values[truth.present]
        assert float(of_sources.min()) >= low
        assert float(of_sources.max()) <= high
        assert spread(of_sources, low, high) < UNLIKELY


def test_every_source_of_a_scene_has_the_same_law(device: torch.device) -> None:
    truth = drawn(device).truth
    full = truth.count == 5

    for slot in range(5):
        assert spread(truth.range_m[full, slot], 0.5, 10.0) < UNLIKELY


def test_slots_beyond_the_count_are_empty(device: torch.device) -> None:
    truth = drawn(device).truth
    absent = ~truth.present

    for value in (truth.phi_rad, truth.theta_rad, truth.range_m):
        assert bool(value[absent].isnan().all())
        assert bool(value[~absent].isfinite().all())
    assert float(truth.amplitude[absent].abs().max()) == 0.0
    assert float(truth.symbols.abs().amax(1)[absent].max()) == 0.0


def test_amplitudes_fall_with_the_range_and_symbols_have_unit_power(device: torch.device) -> None:
    truth = drawn(device).truth
    present = truth.present

    expected = 0.3 / (4.0 * math.pi * truth.range_m[present])
    assert float((truth.amplitude[present] / expected - 1.0).abs().max()) < 1e-6
    power = truth.symbols[:, 0][present].abs().square()
    assert pytest.approx(1.0, abs=0.04) == float(power.mean())
    # CN(0, 1): a source is 10 dB under its mean power in one scene of ten.
    assert pytest.approx(1.0 - math.exp(-0.1), abs=0.01) == float((power < 0.1).float().mean())


def test_equal_power_knows_neither_path_loss_nor_fading(device: torch.device) -> None:
    truth = drawn(device, "physics.power=equal").truth

    powers = truth.powers[truth.present]
    assert float((powers - 1.0).abs().max()) < 1e-5
    assert float((truth.amplitude[truth.present] - 1.0).abs().max()) == 0.0


@pytest.mark.parametrize(("symbols", "rows"), [("frame", 1), ("snapshot", 16)])
def test_symbols_are_held_or_fresh(device: torch.device, symbols: str, rows: int) -> None:
    config = load_config(preset="smoke", overrides=[f"physics.symbols={symbols}"]).config
    truth = SceneGenerator(config.physics, config.data, device).scenes("test", 0, 64).truth

    assert truth.symbols.shape == (64, rows, 3)
    assert truth.symbols.dtype == torch.complex64
    first = truth.symbols[:, 0][truth.present]
    last = truth.symbols[:, -1][truth.present]
    assert (rows == 1) == torch.equal(first, last)


def test_fresh_symbols_do_not_remember_each_other(device: torch.device) -> None:
    symbols = drawn(device, "physics.symbols=snapshot", count=512).truth
    rows = symbols.symbols.transpose(1, 2)[symbols.present]

    gram = (rows.mH @ rows / len(rows)).cpu()

    assert float((gram - torch.eye(16)).abs().max()) < 0.12


@pytest.mark.parametrize("separation", [5.0, 25.0])
def test_sources_keep_the_demanded_angle(device: torch.device, separation: float) -> None:
    data = DataConfig(separation_deg=separation, sources_max=4)
    truth = SceneGenerator(SMALL, data, device).scenes("train", 0, 3 * BLOCK).truth

    closest = least_angle_deg(truth.phi_rad, truth.theta_rad)

    assert float(closest.min()) >= separation - 1e-9
    # The limit is reached, not overdone.
    assert float(closest.min()) < separation + 3.0


def least_angle_deg(phi: Tensor, theta: Tensor) -> Tensor:
    """The smallest angle of each pair of sources, by the haversine of two directions."""
    left, right = torch.triu_indices(phi.shape[1], phi.shape[1], offset=1, device=phi.device)
    half = ((theta[:, left] - theta[:, right]) / 2.0).sin().square()
    turn = ((phi[:, left] - phi[:, right]) / 2.0).sin().square()
    angles = 2.0 * (half + theta[:, left].cos() * theta[:, right].cos() * turn).sqrt().asin()
    return angles[angles.isfinite()].rad2deg()


def test_separation_does_not_favour_small_numbers_of_sources(device: torch.device) -> None:
    data = DataConfig(separation_deg=25.0, sources_max=4)
    count = SceneGenerator(SMALL, data, device).scenes("train", 0, 4 * BLOCK).truth.count

    counts = torch.bincount(count.cpu(), minlength=5)[1:]

    expected = BLOCK
    # 16.3 is exceeded in one of a thousand samples with three degrees of freedom.
    assert float(((counts - expected).square() / expected).sum()) < 16.3


def test_a_separation_without_room_is_refused(device: torch.device) -> None:
    generator = SceneGenerator(SMALL, DataConfig(separation_deg=80.0), device)

    with pytest.raises(ConfigInvalid, match=r"separation_deg = 80 leaves no room for 5 sources"):
        generator.block("train", 0)


def test_the_snr_of_each_source_is_that_of_its_own_echo(device: torch.device) -> None:
    physics, data = SMALL, DataConfig(sources_max=3, snr_db=(10.0, 10.0))
    scenes = SceneGenerator(physics, data, device).scenes("test", 0, 128)

    of_each = source_snr_db(SceneGenerator(physics, data, device).panel, scenes).cpu()

    truth = scenes.truth.to("cpu")
    assert torch.equal(truth.present, of_each.isfinite())
    alone = truth.count == 1
    assert pytest.approx([10.0] * int(alone.sum()), abs=1e-3) == of_each[alone, 0].tolist()


@any_device
@given(start=st.integers(0, 700), count=st.integers(1, 600))
def test_scenes_have_the_same_bits_wherever_a_request_begins(
    device: torch.device, start: int, count: int
) -> None:
    whole = small_walk(device)

    asked = SceneGenerator(SMALL, DataConfig(), device).scenes("validation", start, count)

    assert bits(whole[start : start + count]) == bits(asked)


@any_device
@given(size=st.integers(1, 600), start=st.integers(0, 300))
def test_batches_of_any_size_walk_over_the_same_scenes(
    device: torch.device, size: int, start: int
) -> None:
    whole = small_walk(device)
    walk = SceneGenerator(SMALL, DataConfig(), device).batches("validation", size, start)

    for first in range(start, 5 * BLOCK - size, size):
        assert bits(whole[first : first + size]) == bits(next(walk))


@cache
def small_walk(device: torch.device) -> Scenes:
    """The first blocks of a split, one after the other."""
    generator = SceneGenerator(SMALL, DataConfig(), device)
    return generator.scenes("validation", 0, 6 * BLOCK)


def test_two_generators_of_one_configuration_draw_the_same_bits(device: torch.device) -> None:
    one = SceneGenerator(SMALL, DataConfig(seed=5), device).scenes("test", 250, 20)
    two = SceneGenerator(SMALL, DataConfig(seed=5), device).scenes("test", 250, 20)

    assert bits(one) == bits(two)


def test_bits_do_not_depend_on_what_else_was_drawn(device: torch.device) -> None:
    alone = SceneGenerator(SMALL, DataConfig(), device).block("test", 1)

    generator = SceneGenerator(SMALL, DataConfig(), device)
    generator.block("train", 1)
    torch.manual_seed(99)

    assert bits(alone) == bits(generator.block("test", 1))


def test_seeds_splits_and_blocks_give_different_scenes(device: torch.device) -> None:
    drawn_from = {
        (seed, split, block): SceneGenerator(SMALL, DataConfig(seed=seed), device).block(
            split, block
        )
        for seed in (0, 1, 2**40)
        for split in SPLITS
        for block in (0, 1)
    }

    different = {bits(scenes)["range_m"] for scenes in drawn_from.values()}

    assert len(drawn_from) == len(different)


def bits(scenes: Scenes) -> dict[str, bytes]:
    """Every byte of every field, by name."""
    named: list[tuple[str, Any]] = [*scenes.frames.items(), *scenes.truth.items()]
    return {
        name: repr((value.shape, value.dtype)).encode() + value.contiguous().cpu().numpy().tobytes()
        for name, value in named
    }
