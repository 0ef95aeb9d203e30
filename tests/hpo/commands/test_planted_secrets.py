"""Twenty secrets go through a search, its record, report and model: none is written or printed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from risexp.app.serving.resolve_model import bundle_of
from risexp.hpo.store.store import StudyStore
from risexp.registry.mlflow_model import save_model
from risexp.runs.folder import find_run
from risexp.tracking.stores import store_named
from risexp.training.checkpoint_store import best
from tests.support import planted_secrets as planted
from tests.support.command_searches import FIXED, LIMIT_S, NAME, SPACE, CommandSearch
from tests.support.commands import Capture, run
from tests.support.uploads import ask, place, served
from tests.support.worker_processes import until


@pytest.fixture
def search(
    store: StudyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandSearch]:
    """A search whose surroundings hold the secrets; they are this process's too."""
    url = make_url(store.url).set(password=planted.STORE).render_as_string(hide_password=False)
    secret = replace(store, url=url)
    code, home = planted.write_code(tmp_path / "code"), tmp_path / "home"
    behind = place(store_named(f"sqlite:///{tmp_path}/behind/mlflow.db"))
    with served(behind, tmp_path / "served") as port:
        address = f"http://me:{planted.TRACKING}@127.0.0.1:{port}"
        environment = {
            **planted.ENVIRONMENT,
            "RISEXP_HOME": str(home),
            "RISEXP_STORE": url,
            "RISEXP_TRACKING_URI": address,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        (home / "search_spaces").mkdir(parents=True)
        # A copy of the package would have to compile the search, for minutes.
        space = {**SPACE, "fixed": {**FIXED, "localisation.backend": "torch"}}
        comment = f"# {NAME}: see https://me:{planted.ABOUT}@wiki.example.org\n"
        (home / "search_spaces" / f"{NAME}.yaml").write_text(comment + json.dumps(space), "utf-8")
        more = {"PYTHONPATH": str(code)}
        yield CommandSearch(home, secret, tmp_path / "hpo.log", 3, 1, (), more, address)


@pytest.mark.slow
@pytest.mark.fault("F22")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_of_twenty_secrets_none_is_written_or_printed(
    search: CommandSearch,
    tmp_path: Path,
    capsys: Capture,
    record_property: Callable[[str, object], None],
) -> None:
    with search.begun() as leader:
        until(lambda: bool(search.attempts()), LIMIT_S)
        commands = [*planted.commands_of(search.workers_pids())]
        assert 0 == leader.wait(LIMIT_S)
    model = tmp_path / "model"
    checkpoint = best(find_run(f"{NAME}-001").attempts()).checkpoint
    assert checkpoint is not None
    save_model(bundle_of(checkpoint), model)
    with planted.debugged():
        printed = [
            run(capsys, command)
            for command in (
                f"study show {NAME} --json",
                f"study show {NAME} --trial 0",
                f"show run {NAME}-000",
                f"report --study {NAME} --out {tmp_path}/report.html --scenes 0",
                "doctor --json",
                "sync --again",
                "sync --tracking http://me:wrong@127.0.0.1:9",
                f"hpo --space {NAME} --study other --trials 1 --tracking ftp://x",
            )
        ]

    behind = store_named(f"sqlite:///{tmp_path}/behind/mlflow.db")
    texts = [
        *planted.files_of(search.home / "mlruns", model, tmp_path / "behind", tmp_path / "served"),
        *((str(path), path.read_bytes()) for path in (search.log, tmp_path / "report.html")),
        *planted.rows_of(search.store.url),
        *planted.rows_of(behind.uri),
        *commands,
        *((f"printed {each[0]}", (each[1] + each[2]).encode()) for each in printed),
    ]
    assert 20 == len({*planted.SECRETS})
    assert [] == planted.found_in(texts)
    # What would have told them was there: an error, a diff, a record on a server, debug messages.
    ((sentence,),) = ask(behind, "SELECT value FROM tags WHERE value LIKE '%cannot reach%'")
    assert "https://***@host/x" in sentence
    assert list(search.home.rglob("source-*.diff"))
    assert "DEBUG:urllib3" in search.log.read_text()
    record_property("injected", len(planted.SECRETS) - 1)
