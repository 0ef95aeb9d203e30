"""One folder for the inputs of a test, and the count of all inputs at the end of a session."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fuzzing import Tally

_PROPERTY = "fuzzed"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in an empty folder and a clean environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RISEXP_HOME", raising=False)
    monkeypatch.delenv("RISEXP_STORE", raising=False)
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")
    for name in os.environ:
        if name.startswith("RISEXP__"):
            monkeypatch.delenv(name)


@pytest.fixture
def tally(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Tally:
    """The counts of this test, under the name of its file."""
    own = Tally(request.path.stem.removeprefix("test_"))
    record_property(_PROPERTY, (own.kind, own.counts))
    return own


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the inputs by kind of file, and what went wrong with them."""
    totals = dict[str, Counter[str]]()
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name == _PROPERTY:
                kind, counts = value
                totals.setdefault(kind, Counter()).update(counts)
    for kind, counts in sorted(totals.items()):
        rest = ", ".join(f"{count} {what}" for what, count in counts.items() if what != "inputs")
        terminalreporter.write_line(f"fuzzing {kind}: {counts['inputs']} inputs, {rest}")
