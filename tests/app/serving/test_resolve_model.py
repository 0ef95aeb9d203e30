"""What a name stands for: a run, a checkpoint, or a model."""

from pathlib import Path

import pytest

from risexp.app.serving.resolve_model import resolve_bundle, resolve_checkpoint
from risexp.errors import InvalidInput
from risexp.runs.folder import create_run
from tests.support.models import model_config, model_in


def test_a_model_that_lies_here_does_not_take_the_place_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    create_run("run-9", model_config(), ())
    model_in(tmp_path).rename(tmp_path / "run-9")

    with pytest.raises(InvalidInput, match="checkpoint"):
        resolve_bundle("run-9")
    assert "run-1" == resolve_bundle("./run-9").bundle.run_id


def test_an_impossible_name_is_refused() -> None:
    for name, sentence in (
        ("", "the name is empty: name a run"),
        ("x" * 300, "xxx... is too long for a name"),
    ):
        for resolve in (resolve_bundle, resolve_checkpoint):
            with pytest.raises(InvalidInput, match=sentence):
                resolve(name)
