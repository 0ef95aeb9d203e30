"""Commands that only read studies: they make no store, and give up soon on one that is away."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from risexp.hpo.store import store
from tests.support.commands import Capture, run
from tests.support.frozen_sets import contents

READING = (
    "study show wide",
    "study stop wide",
    "study retry wide 0",
    "watch wide",
    "report --study wide --out page.html",
    "compare --study wide",
    "promote --study wide",
    "space shrink --study wide --out next.yaml",
)
AWAY = "postgresql://me:hunter2secret@127.0.0.1:1/studies"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/studies"


def test_no_store_is_made_at_a_mistyped_place(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = f"no search has been made in {tmp_path}/"
    for name, value in (("RISEXP_HOME", "hom"), ("RISEXP_STORE", f"sqlite:///{tmp_path}/o.db")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            listed = run(capsys, "study list --json")
            others = [run(capsys, command) for command in READING]

        assert (0, "[]\n") == listed[:2]
        assert listed[2].startswith(missing)
        for command, (code, out, err) in zip(READING, others, strict=True):
            assert (2, "") == (code, out), command
            assert err.startswith(f"risexp: {missing}"), (command, err)
    assert {} == contents(tmp_path)


def test_a_store_that_is_away_is_given_up_after_seconds(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_STORE", AWAY)
    monkeypatch.setattr(store, "READ_S", 0.01)

    for command in ("study list", *READING):
        code, out, err = run(capsys, command)

        assert (1, "", 1) == (code, out, err.count("\n")), command
        assert "me@127.0.0.1:1/studies has not answered for 0.01 s" in err, command
        assert "secret" not in err


def test_a_server_that_never_answers_is_given_up_as_well(
    capsys: Capture, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_STORE", silent)
    monkeypatch.setattr(store, "READ_S", 0.01)

    code, _, err = run(capsys, "study list")

    assert 1 == code
    assert "has not answered for 0.01 s" in err
