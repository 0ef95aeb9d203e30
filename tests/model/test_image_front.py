"""The image front: its input and its peaks."""

from itertools import product

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.estimation.grid import search_grid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Features
from risexp.model.image_front import ImageFront
from risexp.model.prediction import Heat
from tests.support.localisation import NOISELESS, WAVEFRONTS, points_of, scenes_of
from tests.support.networks import answer, awake, finite, network_config, observed
from tests.support.scenes import worst


def front_of(config: RunConfig) -> ImageFront:
    front = awake(config).front
    assert isinstance(front, ImageFront)
    return front


@torch.no_grad()
def looked(config: RunConfig, count: int = 8) -> tuple[Features, Heat]:
    features = front_of(config)(observed(config, count))
    assert features.heat is not None
    return features, features.heat


def image(config: RunConfig, count: int) -> Tensor:
    """What the first layer sees of scenes, (B, channels, V, U)."""
    return front_of(config)._image(observed(config, count))


def test_a_noiseless_source_is_brightest_in_its_own_cell() -> None:
    """Axes that are swapped or turned would put it elsewhere."""
    for wavefront, symbols in product(WAVEFRONTS, ["frame", "snapshot"]):
        sides = ("physics.elements_h=8", "physics.elements_v=5", "physics.antennas=40")
        config = network_config(
            *sides,
            NOISELESS,
            "data.sources_max=1",
            f"physics.wavefront={wavefront}",
            f"physics.symbols={symbols}",
            front="image",
        )
        grid = search_grid(
            ReceiverModel.of(config).panel, ReceiverModel.of(config).view, torch.device("cpu")
        )
        true = points_of(scenes_of(config, 32).truth)[:, 0]

        powers = image(config, 32)[:, : grid.shape[0]].amax(1)

        rows, columns = powers.shape[-2:]
        assert grid.shape[1:] == (rows, columns), (wavefront, symbols)
        brightest = powers.flatten(1).argmax(-1)
        heat = looked(config)[1]
        u, v = heat.u[brightest % columns], heat.v[brightest // columns]
        off = torch.stack([u - true[:, 0], v - true[:, 1]], dim=-1).abs() / grid.steps[:2]
        assert float((off < 1.01).all(-1).double().mean()) > 0.95, (wavefront, symbols)


def test_fresh_symbols_show_their_mean_power_and_no_phase() -> None:
    config = network_config("physics.symbols=snapshot", front="image")
    planes = search_grid(
        ReceiverModel.of(config).panel, ReceiverModel.of(config).view, torch.device("cpu")
    ).shape[0]

    assert planes == image(config, 2).shape[1]
    assert 3 * planes == image(network_config(front="image"), 2).shape[1]


def test_slots_start_at_the_peaks_of_the_map() -> None:
    config = network_config(front="image")

    features, heat = looked(config)

    u, v = heat.u, heat.v
    for scene in range(8):
        laid = torch.nn.functional.pad(heat.logits[scene], (1, 1, 1, 1), value=-torch.inf)
        tops = []
        for point in features.anchors[scene]:
            column, row = int((u - point[0]).abs().argmin()), int((v - point[1]).abs().argmin())
            tops.append(float(heat.logits[scene, row, column]))
            assert tops[-1] == float(laid[row : row + 3, column : column + 3].max())
        assert tops[0] == float(heat.logits[scene].max())
        assert tops == sorted(tops, reverse=True)
        expected = torch.tensor(tops).sigmoid().log()
        assert worst(expected, features.log_power[scene]) < 1e-5


def test_slots_start_in_different_cells_at_ranges_of_the_view() -> None:
    config = network_config(front="image")

    features, _ = looked(config)

    low, high = ReceiverModel.of(config).view.rho
    for scene in features.anchors:
        assert 3 == len({(float(u), float(v)) for u, v, _ in scene})
    assert bool((features.anchors[..., 2] >= low).all())
    assert bool((features.anchors[..., 2] <= high).all())


def test_a_view_of_a_few_cells_has_slots_that_share_one() -> None:
    cases: list[tuple[str, ...]] = [
        ("data.phi_deg=[10,10]", "data.theta_deg=[0,0]"),
        ("data.range_m=[2,2]",),
    ]
    for narrow in cases:
        config = network_config(*narrow, front="image")

        prediction = answer(config, scenes_of(config, 3).frames)

        assert finite(prediction), narrow
        assert (3, 3) == tuple(prediction.pointers.rho.shape), narrow
