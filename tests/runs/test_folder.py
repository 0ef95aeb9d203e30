import json
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.errors import DataInvalid, EnvironmentFailed, InvalidInput
from risexp.runs.environment import environment
from risexp.runs.folder import RunFolder, create_run, find_run, list_runs, new_run_id
from risexp.runs.outcome import complete, failed
from risexp.training.checkpoint import config_tree
from risexp.training.curriculum import curriculum

CONFIG = RunConfig().replace(
    {
        "training.epochs": 6,
        "beta.final": 0.3,
        "beta.jitter": 0.05,
        "physics.rician_db": [-24.0, -10.0],
    }
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))


def created(run_id: str = "wide-007") -> RunFolder:
    return create_run(run_id, CONFIG, curriculum(CONFIG))


def edited(path: Path, edit: Callable[[str], str]) -> None:
    path.write_text(edit(path.read_text("utf-8")), "utf-8")


def test_a_run_has_a_name_that_tells_its_time_and_no_other_has() -> None:
    now = datetime(2026, 11, 20, 9, 5, 7, tzinfo=UTC)

    names = {new_run_id(now) for _ in range(50)}

    assert all(re.fullmatch(r"train-20261120-090507-[0-9a-f]{6}", name) for name in names)
    assert 50 == len(names)


def test_a_run_lies_under_the_home_for_its_owner_alone(tmp_path: Path) -> None:
    run = created()

    assert tmp_path / "mlruns" / "runs" / "wide-007" == run.path
    assert 0o700 == stat.S_IMODE(run.path.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()}


def test_a_run_knows_what_it_was_told() -> None:
    created()

    run = find_run("wide-007")

    assert CONFIG == run.config()
    assert CONFIG.sha() == run.config_sha
    assert curriculum(CONFIG) == run.plans()
    document = json.loads((run.path / "config.json").read_text("utf-8"))
    assert config_tree(CONFIG) == document["canonical"]
    assert CONFIG.model_dump(mode="json") == document["given"]
    assert CONFIG.sha() == document["sha"]


def test_no_run_is_ever_written_over() -> None:
    run = created()
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}

    with pytest.raises(InvalidInput, match="there is a run 'wide-007' already"):
        created()

    assert before == {path.name: path.read_bytes() for path in run.path.iterdir()}


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden", "-x", "a b", "x" * 101, "a\n"])
def test_a_name_that_leads_elsewhere_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no name of a run"):
        created(name)

    assert not (tmp_path / "mlruns").exists()


def test_runs_are_found_by_name_and_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    run = created()
    monkeypatch.chdir(run.path.parent)

    found = [find_run(name) for name in ("wide-007", str(run.path), "./wide-007")]

    assert [run] * 3 == found


def test_all_runs_are_listed_by_name() -> None:
    for name in ("wide-010", "train-1", "wide-002"):
        created(name)

    assert ["train-1", "wide-002", "wide-010"] == [run.run_id for run in list_runs()]


def test_a_folder_that_was_never_told_anything_is_no_run() -> None:
    run = created()
    (run.path / "config.json").unlink()

    assert () == list_runs()
    with pytest.raises(InvalidInput, match="no folder of a run"):
        find_run(str(run.path))


def test_an_unknown_run_is_answered_with_the_nearest() -> None:
    created()

    with pytest.raises(InvalidInput, match=r"there is no run 'wide-07' .*did you mean wide-007\?"):
        find_run("wide-07")


def test_an_unknown_run_unlike_any_other_is_answered_with_the_last() -> None:
    created()

    with pytest.raises(InvalidInput, match="the last of 1 is wide-007"):
        find_run("zzz")


def test_a_folder_of_that_name_elsewhere_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput, match=r"elsewhere holds no config\.json"):
        find_run("elsewhere")


def test_each_attempt_has_a_folder_for_its_checkpoints() -> None:
    run = created()

    first, second = run.begin({"threads": 1}), run.begin({"threads": 2})

    assert (first, second) == run.attempts()
    assert ["attempt-01", "attempt-02"] == [path.name for path in run.attempts()]
    assert [{"threads": 1}, {"threads": 2}] == run.environments()


def test_a_run_that_goes_on_has_not_ended() -> None:
    run = created()
    run.begin({})
    run.close(complete("early-stop", 4))
    ended = run.outcome()

    run.begin({})

    assert complete("early-stop", 4) == ended
    assert run.outcome() is None


def test_how_a_run_failed_is_kept() -> None:
    run = created()
    outcome = failed(ZeroDivisionError("float division"))

    run.close(outcome)

    assert outcome == run.outcome()


def test_two_processes_never_train_one_run() -> None:
    run = created()

    with run.held(), pytest.raises(EnvironmentFailed, match="another process trains wide-007"):
        _held(run)
    _held(run)


def _held(run: RunFolder) -> None:
    with run.held():
        pass


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("config.json", lambda text: text.replace('"epochs": 6', '"epochs": 7')),
        ("config.json", lambda text: text.replace('"given"', '"gvien"')),
        ("config.json", lambda _: "[]"),
        ("config.json", lambda _: "{"),
        ("plans.json", lambda text: text.replace('"beta"', '"bta"')),
        ("plans.json", lambda _: "{}"),
        ("plans.json", lambda text: text.replace("true", '"yes"')),
    ],
)
def test_what_was_edited_is_refused(name: str, edit: Callable[[str], str]) -> None:
    run = created()
    edited(run.path / name, edit)

    with pytest.raises(DataInvalid):
        _read_all(run)


def _read_all(run: RunFolder) -> None:
    run.config_sha, run.config(), run.plans()


@pytest.mark.parametrize("text", ["", "{}", '{"status":"fine"}', "[]"])
def test_an_outcome_that_is_none_is_refused(text: str) -> None:
    run = created()
    (run.path / "outcome.json").write_text(text, "utf-8")

    with pytest.raises(DataInvalid, match=r"outcome\.json"):
        run.outcome()


def test_a_home_that_cannot_be_written_is_the_environments_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "file"))

    with pytest.raises(EnvironmentFailed, match="cannot write"):
        created()


def test_the_environment_names_versions_threads_and_device() -> None:
    found = environment(CPU)

    assert torch.__version__ == found["packages"]["torch"]
    assert (torch.get_num_threads(), "cpu") == (found["threads"], found["device"])


def test_the_environment_holds_nothing_of_the_processs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret-1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:planted-secret-2@host/db")
    run = created()

    run.begin(environment(CPU))

    texts = [path.read_text("utf-8") for path in run.path.rglob("*") if path.is_file()]
    assert [] == [text for text in texts if "planted-secret" in text]
