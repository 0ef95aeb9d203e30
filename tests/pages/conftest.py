"""A small finished study, the pages `risexp ui` serves of it, and a browser that looks at them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.browser import Browser, begin, programs
from tests.support.requirements import require

SPACE = """# pages: what the pages are looked at with.
base: smoke
trials: 3
fixed:
  training.epochs: 3
  training.scenes_per_epoch: 256
  training.batch: 16
  validation.scenes: 16
  validation.calibration_scenes: 16
vary:
  training.optimizer.lr: {kind: log, low: 1.0e-3, high: 1.0e-2}
  loss.count: {kind: uniform, low: 0.2, high: 2.0}
sampler: {kind: random}
pruner: {kind: none}
"""
REPORT = "report.html"
SCREENSHOTS = "RISEXP_SCREENSHOTS"
"""Names, in the environment, a folder that keeps what the browser saw."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser, and makes its study while the first test waits."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.pages)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    told = {key: value for key, value in os.environ.items() if not key.startswith("RISEXP_")}
    return told | {"RISEXP_HOME": str(tmp_path_factory.mktemp("pages")), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def home(environment: dict[str, str]) -> Path:
    """A home with a study, its report and a champion, made as a person makes them."""
    folder = Path(environment["RISEXP_HOME"])
    (folder / "search_spaces").mkdir()
    (folder / "search_spaces" / "pages.yaml").write_text(SPACE, encoding="utf-8")
    search = "hpo --space pages --device cpu --unchecked --workers 1"
    promotion = "promote --study pages --gates smoke --scenes 200 --device cpu"
    for command in (search, promotion, f"report --study pages --scenes 20 -o {REPORT}"):
        made = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "risexp", *command.split()],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def pages(home: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Addresses of `mlflow` and of the `dashboard`."""
    log = home / "ui.log"
    with log.open("w", encoding="utf-8") as notes:
        serving = subprocess.Popen(
            [sys.executable, "-m", "risexp", "ui", "--json"],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=notes,
            text=True,
        )
    assert serving.stdout is not None
    try:
        said = ""
        for line in serving.stdout:
            said += line
            if line == "}\n":
                break
        assert said.endswith("}\n"), log.read_text(encoding="utf-8")
        yield json.loads(said)
    finally:
        serving.send_signal(signal.SIGINT)
        try:
            serving.wait(30)
        finally:
            serving.kill()
            serving.communicate()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    there = programs()
    require(there is not None, "no browser: apt-get install chromium chromium-driver")
    assert there is not None
    with begin(*there, os.environ.get(SCREENSHOTS)) as started:
        yield started


@pytest.fixture
def browser(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The browser as one that has seen nothing yet; what it sees last is kept."""
    chromium.forget()
    yield chromium
    chromium.keep(request.node.name)
