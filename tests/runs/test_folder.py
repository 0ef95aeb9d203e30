import json
import re
import stat
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from risexp.config.run import RunConfig
from risexp.core.spare import delete_both, spare_of, write_twice
from risexp.errors import DataInvalid, EnvironmentFailed, InvalidInput
from risexp.runs import folder
from risexp.runs.folder import (
    RunFolder,
    create_run,
    damaged_documents,
    find_run,
    list_runs,
    new_run_id,
)
from risexp.runs.outcome import failed
from risexp.runs.source import keep_source, sources
from risexp.runs.spec import Labels, read_labels, write_labels
from risexp.tracking.upload_state import UploadState
from risexp.training.checkpoint import config_tree
from risexp.training.curriculum import curriculum
from tests.support.looping import for_each

CONFIG = RunConfig().replace(
    {
        "training.epochs": 6,
        "beta.final": 0.3,
        "beta.jitter": 0.05,
        "physics.rician_db": [-24.0, -10.0],
    }
)


pytestmark = pytest.mark.usefixtures("own_home")


def created(run_id: str = "wide-007") -> RunFolder:
    return create_run(run_id, CONFIG, curriculum(CONFIG))


def edited(path: Path, edit: Callable[[str], str]) -> None:
    """Edit a document, and its spare copy likewise where it has one."""
    text = edit(path.read_text("utf-8")).encode()
    path.write_bytes(text)
    if spare_of(path).exists():
        write_twice(path, text)


def contents(path: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_new_names_hold_the_time_and_differ() -> None:
    now = datetime(2026, 11, 20, 9, 5, 7, tzinfo=UTC)

    names = {new_run_id(now) for _ in range(50)}

    assert all(re.fullmatch(r"train-20261120-090507-[0-9a-f]{6}", name) for name in names)
    assert 50 == len(names)


def test_a_run_under_the_home_keeps_its_configuration_and_plans_for_its_owner(
    tmp_path: Path,
) -> None:
    path = created().path

    run = find_run("wide-007")

    assert tmp_path / "mlruns" / "runs" / "wide-007" == path == run.path
    assert 0o700 == stat.S_IMODE(path.stat().st_mode)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.rglob("*") if each.is_file()}
    assert {0o600} == modes
    assert 0o700 == stat.S_IMODE((path / "spares").stat().st_mode)
    assert (CONFIG, CONFIG.sha()) == (run.config(), run.config_sha)
    assert curriculum(CONFIG) == run.plans()
    document = json.loads((path / "config.json").read_text("utf-8"))
    assert config_tree(CONFIG) == document["canonical"]
    assert CONFIG.model_dump(mode="json") == document["given"]
    assert CONFIG.sha() == document["sha"]
    before = contents(path)
    with pytest.raises(InvalidInput, match="there is a run 'wide-007' already"):
        created()
    assert before == contents(path)


def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path) -> None:
    for name in ("", "../out", "a/b", ".hidden", "-x", "a b", "x" * 101, "a\n"):
        with pytest.raises(InvalidInput, match="is no name of a run"):
            created(name)

    assert not (tmp_path / "mlruns").exists()


def test_runs_are_listed_by_name_and_found_by_name_or_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    _, run, half = (created(name) for name in ("wide-010", "train-1", "wide-002"))
    delete_both(half.path / "config.json")
    monkeypatch.chdir(run.path.parent)

    found = [find_run(name) for name in ("train-1", str(run.path), "./train-1")]

    assert [run] * 3 == found
    assert ["train-1", "wide-010"] == [each.run_id for each in list_runs()]
    for name, message in (
        (str(half.path), "no folder of a run"),
        ("train-2", r"there is no run 'train-2' .*did you mean train-1\?"),
        ("zzz", "the last of 2 is wide-010"),
    ):
        with pytest.raises(InvalidInput, match=message):
            find_run(name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=r"elsewhere holds no config\.json"):
        find_run("elsewhere")


def test_a_run_is_found_without_a_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a report reads as many folders as the square of its trials."""
    run = created()

    def listed() -> None:
        pytest.fail("all runs were listed")

    monkeypatch.setattr(folder, "list_runs", listed)

    assert run == find_run(run.run_id)


def test_documents_of_runs_are_read_by_validators_that_are_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is made in half a millisecond, and a run has a plan for every epoch."""
    run, made = created(), list[object]()
    write_labels(run.path, Labels())
    keep_source(run.path)
    run.begin({"threads": 1})
    run.open_journal().write(1, {"beta": 0.1})
    run.close(failed(ValueError("planted")))
    validated = TypeAdapter.__init__

    def counted(adapter: TypeAdapter[Any], kind: type[object]) -> None:
        made.append(kind)
        validated(adapter, kind)

    monkeypatch.setattr(TypeAdapter, "__init__", counted)
    state = UploadState(run.path)

    assert 1 == len(state.lines().rows)
    assert 6 == len(run.plans())
    assert CONFIG == run.config()
    assert None not in [run.outcome(), state.ending(), read_labels(run.path)]
    assert 1 == len(sources(run.path))
    assert [] == made


def test_each_attempt_has_a_folder_and_the_next_one_reopens_the_run() -> None:
    run, error = created(), failed(ZeroDivisionError("float division"))

    first = run.begin({"threads": 1})
    run.close(error)
    ended = run.outcome()
    second = run.begin({"threads": 2})

    assert (first.folder, second.folder) == run.attempts()
    assert second == run.checkpoints()
    assert ["attempt-01", "attempt-02"] == [path.name for path in run.attempts()]
    assert [{"threads": 1}, {"threads": 2}] == run.environments()
    assert (error, None) == (ended, run.outcome())


def test_two_processes_never_train_one_run() -> None:
    run = created()

    with (
        run.held(),
        pytest.raises(EnvironmentFailed, match="another process trains wide-007"),
        run.held(),
    ):
        pytest.fail("two train one run")


def test_edited_documents_are_refused() -> None:
    edits: tuple[tuple[str, Callable[[str], str]], ...] = (
        *(("outcome.json", lambda _, text=text: text) for text in ("", '{"status":"fine"}', "[]")),
        ("config.json", lambda text: text.replace('"epochs": 6', '"epochs": 7')),
        ("config.json", lambda text: text.replace('"given"', '"gvien"')),
        ("config.json", lambda _: "[]"),
        ("config.json", lambda _: "{"),
        ("plans.json", lambda text: text.replace('"beta"', '"bta"')),
        ("plans.json", lambda _: "{}"),
        ("plans.json", lambda text: text.replace("true", '"yes"')),
    )
    for number, (name, edit) in enumerate(edits):
        run = created(f"run-{number}")
        run.close(failed(ZeroDivisionError("float division")))
        edited(run.path / name, edit)

        with pytest.raises(DataInvalid):
            run.config_sha, run.config(), run.plans(), run.outcome()


@pytest.mark.fault("F13")
def test_a_home_that_is_not_writable_is_an_environment_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(Path(__file__)))

    with pytest.raises(EnvironmentFailed, match="cannot write"):
        created()


DOCUMENTS = ("config.json", "plans.json", "labels.json", "environment.json", "source.json")
LABELS = Labels(preset="smoke", note="a note")


def begun(name: str) -> RunFolder:
    """A run with all of its small files."""
    run = created(name)
    write_labels(run.path, LABELS)
    run.begin({"device": "cpu", "threads": 1})
    keep_source(run.path)
    return run


def content(run: RunFolder) -> tuple[object, ...]:
    return (
        run.config(),
        run.plans(),
        read_labels(run.path),
        run.environments(),
        sources(run.path),
    )


@pytest.mark.fault("F10")
@for_each("damage", [b"", b"{", b"\xff", None])
@for_each("name", DOCUMENTS)
def test_damage_to_any_small_file_costs_nothing(name: str, damage: bytes | None) -> None:
    run = begun(f"run-{uuid.uuid4().hex}")
    before = content(run)
    if damage is None:
        (run.path / name).unlink()
    else:
        (run.path / name).write_bytes(damage)

    assert before == content(run)
    assert [name] == damaged_documents(run.path)
    assert [name] == run.mend(CONFIG, curriculum(CONFIG), LABELS)
    assert [] == damaged_documents(run.path) == run.mend(CONFIG, curriculum(CONFIG), LABELS)
    assert before == content(run)
    assert (run.path / f"{name}.corrupt").exists() is (damage is not None)


@pytest.mark.fault("F10")
@for_each("name", DOCUMENTS)
def test_a_small_file_that_is_damaged_in_both_copies_is_made_anew(name: str) -> None:
    run = begun(f"run-{uuid.uuid4().hex}")
    before = content(run)
    for path in (run.path / name, spare_of(run.path / name)):
        path.write_bytes(b"{")

    assert [name] == run.mend(CONFIG, curriculum(CONFIG), LABELS)

    expected = [
        [] if name == document and index > 2 else value
        for index, (document, value) in enumerate(zip(DOCUMENTS, before, strict=True))
    ]
    assert tuple(expected) == content(run)
    assert b"{" == (run.path / f"{name}.corrupt").read_bytes()
