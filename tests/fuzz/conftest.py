"""One folder for the inputs of a test, and the count of all inputs at the end of a session."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
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
def tally(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Tally]:
    """The counts of this test, under the name of its file."""
    own = Tally(request.path.stem.removeprefix("test_"))
    record_property(_PROPERTY, (own.kind, own.counts))
    yield own
    # One is counted for each test already.
    record_property("injected", own.counts["inputs"] - 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the inputs by kind of file, and what went wrong with them."""
    kinds = dict[str, Counter[str]]()
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name == _PROPERTY:
                kind, counts = value
                kinds.setdefault(kind, Counter()).update(counts)
    if not kinds:
        return
    total = sum(kinds.values(), Counter[str]())
    for kind, counts in [*sorted(kinds.items()), ("all", total)]:
        terminalreporter.write_line(
            f"fuzzing {kind}: {counts['inputs']} inputs, {counts['accepted']} accepted, "
            f"{counts['refused']} refused, {counts['tracebacks']} tracebacks, "
            f"{counts['wrong exit codes']} wrong exit codes"
        )
