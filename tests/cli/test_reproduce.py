"""`risexp reproduce`: a run again from its record, equal to the bit or compared."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from risexp.callbacks.early_stopping import Until
from risexp.core.spare import delete_both
from risexp.runs.folder import RunFolder, list_runs
from risexp.runs.spec import read_labels
from risexp.tracking.stores import embedded
from risexp.training.events import EpochEnded, Event
from tests.support.commands import Capture, document, run, succeed
from tests.support.recorded_runs import without_spares
from tests.support.uploads import place


@pytest.fixture(scope="module")
def sent(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one recorded run."""
    home = tmp_path_factory.mktemp("sent") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        place(embedded())
        (folder,) = list_runs()
        succeed(f"sync {folder.run_id} --tracking embedded")
    return home


@pytest.fixture
def recorded(sent: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The recorded run; no test may train in its home."""
    monkeypatch.setenv("RISEXP_HOME", str(sent))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    (folder,) = list_runs()
    return folder


@pytest.fixture
def apart(recorded: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The run's folder, as an earlier version made it, in a home of the test's own."""
    path = tmp_path / "mlruns" / "runs" / recorded.run_id
    shutil.copytree(recorded.path, path)
    without_spares(path)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return RunFolder(path)


def again(folder: RunFolder) -> RunFolder:
    (other,) = [each for each in list_runs() if each.run_id != folder.run_id]
    return other


def change_line(folder: RunFolder, step: int, key: str, value: float | None) -> None:
    """Record another value of an epoch; None: one that was not finite."""
    lines = [json.loads(line) for line in folder.journal.read_text("utf-8").splitlines()]
    for line in lines:
        line.pop("crc", None)
        if "values" in line and line["step"] == step:
            line["values"][key] = value
            if value is None:
                del line["values"][key]
                line["nonfinite"] = {key: "nan"}
    folder.journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")


def test_it_is_the_same_to_the_bit(apart: RunFolder, capsys: Capture) -> None:
    answer = document(capsys, f"reproduce {apart.run_id} --tracking off")

    assert answer["same"]
    assert 3 == answer["epochs"]
    assert answer["compared"] > 3 * 30
    assert {} == answer["changed"]
    labels = read_labels(again(apart).path)
    assert labels is not None
    assert apart.run_id == labels.tags["risexp.reproduces"]


def test_the_store_alone_is_enough(
    recorded: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    database = recorded.path.parents[1] / "mlflow.db"
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))

    answer = document(
        capsys, f"reproduce {recorded.run_id} --from sqlite:///{database} --tracking off"
    )

    assert answer["same"]
    assert 3 == answer["epochs"]
    assert answer["compared"] > 3 * 20


def test_a_number_that_differs_is_named_and_may_be_tolerated(
    apart: RunFolder, capsys: Capture
) -> None:
    change_line(apart, 2, "val/k_loc", -0.5)

    code, out, err = run(capsys, f"reproduce {apart.run_id} --tracking off --within 1e-9")
    assert 4 == code
    assert "first difference: val/k_loc of epoch 2, -0.5 then" in out
    assert "from epoch 2 on" in err
    change_line(apart, 1, "loss/total", None)
    code, out, _ = run(capsys, f"reproduce {apart.run_id} --tracking off --within 20 --json")
    first = json.loads(out)["first"]
    assert (0, "loss/total", 1, "nan") == (code, first["key"], first["epoch"], first["then"])


def test_an_earlier_record_is_reproduced_as_far_as_it_goes(
    apart: RunFolder, capsys: Capture
) -> None:
    """Of an earlier version, which knew no second hash, and of another environment."""
    rows = apart.journal.read_text("utf-8").splitlines(keepends=True)
    apart.journal.write_text("".join(row for row in rows if '"step":3' not in row), "utf-8")
    environment, config = apart.path / "environment.json", apart.path / "config.json"
    environments = json.loads(environment.read_bytes())
    environments[0]["packages"]["torch"] = "2.0.0"
    environment.write_text(json.dumps(environments), "utf-8")
    written = json.loads(config.read_bytes())
    del written["given_sha"]
    config.write_text(json.dumps(written), "utf-8")

    code, out, _ = run(capsys, f"reproduce {apart.run_id} --tracking off --json")

    answer = json.loads(out)
    assert (0, True, 2) == (code, answer["same"], answer["epochs"])
    assert "2.0.0" in str(answer["changed"])
    assert '"step":3' not in again(apart).journal.read_text("utf-8")


def test_an_unknown_run_is_refused(recorded: RunFolder, capsys: Capture) -> None:
    sentences = {
        "none": "there is no run 'none'",
        "f" * 32: "there is no run",
        "no/where": "holds no config.json",
    }
    for name, sentence in sentences.items():
        code, _, err = run(capsys, f"reproduce {name}")

        assert 2 == code
        assert sentence in err
    assert [recorded.run_id] == [each.run_id for each in list_runs()]


def test_a_record_without_its_parts_is_refused(
    apart: RunFolder, tmp_path: Path, capsys: Capture
) -> None:
    command = f"reproduce {apart.run_id} --tracking off"
    database = tmp_path / "none.db"
    path = apart.path / "config.json"
    config = json.loads(path.read_bytes())
    config["given"]["training"]["optimizer"]["lr"] = 0.5

    code, _, err = run(capsys, f"{command} --from sqlite:///{database}")
    assert (2, True, False) == (code, "none.db" in err, database.exists())

    delete_both(apart.path / "environment.json")
    code, _, err = run(capsys, command)
    assert (2, True) == (code, "never began" in err)

    path.write_text(json.dumps(config), "utf-8")
    code, _, err = run(capsys, command)
    assert (2, True) == (code, "was edited" in err)


def test_an_interrupted_run_is_not_compared(
    apart: RunFolder, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_self: Until, event: Event) -> None:
        if isinstance(event, EpochEnded):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Until, "__call__", interrupt)

    code, out, err = run(capsys, f"reproduce {apart.run_id} --tracking off")

    assert 130 == code
    assert "nothing is compared" in err
    assert "differ" not in out + err
