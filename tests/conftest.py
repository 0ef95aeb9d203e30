"""What every test stands on: one thread, loud casts, and the device named on the command line."""

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# Without it torch warns of a complex-to-real cast once a process, and the second one is silent.
torch.set_warn_always(True)

settings.register_profile(
    "risexp", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("risexp"), max_examples=400)
settings.load_profile("risexp")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device the tests run on, e.g. cuda")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(str(request.config.getoption("--device")))
