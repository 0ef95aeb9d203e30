"""The spectra of a scene: true and estimated positions, peaks, and the picture."""

from pathlib import Path

import pytest
import torch

from risexp.app.show.run import RunSeen
from risexp.app.show.spectrum import show_spectra
from risexp.data.scenes import SceneGenerator
from tests.support.validated_runs import with_network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def run(own_home: Path) -> None:
    del own_home
    with_network("one", 0)


def test_a_scene_is_seen_by_the_network_and_by_the_samples() -> None:
    seen = show_spectra("one", 3, 15.0, CPU)

    network, samples = seen.shown
    config = RunSeen.of("one").config
    truth = SceneGenerator(config.physics, config.data).scenes("test", 3, 1).truth
    assert ("one", 3, 15.0) == (seen.run, seen.scene, seen.snr_db)
    assert int(truth.count[0]) == len(seen.sources)
    assert ["network"] == list(network.positions)
    assert ["music", "nomp"] == list(samples.positions)
    assert network.count == len(network.positions["network"])
    for shown in seen.shown:
        for image in (shown.music_db, shown.power_db):
            assert 0.0 == float(image.max())
            assert bool(image.isfinite().all())


def test_the_samples_peak_at_a_loud_source() -> None:
    """The loudest source's direction is within a beam of the peak of the power."""
    seen = show_spectra("one", 0, 40.0, CPU)

    _, samples = seen.shown
    row, column = divmod(int(samples.power_db.argmax()), samples.power_db.shape[1])
    phi = torch.linspace(*seen.field.phi_deg, samples.power_db.shape[1])[column]
    theta = torch.linspace(*seen.field.theta_deg, samples.power_db.shape[0])[row]
    nearest = min(
        abs(float(phi) - each.phi_deg) + abs(float(theta) - each.theta_deg) for each in seen.sources
    )
    assert nearest < 15.0
