"""The wheel of this tree, built once for all tests of deployments."""

from pathlib import Path

import pytest

from risexp.app.deploy import wheel


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    wheel.write_wheel(folder)
    return next(folder.glob("*.whl"))
