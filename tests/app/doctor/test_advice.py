"""What a check-up advises, carried out: it is green then."""

import os
import subprocess
import sys

import pytest

from risexp.app.run.sync import sync
from risexp.tracking.stores import embedded
from tests.support.homes import (
    change_record,
    check_of,
    client,
    folder_of,
    found,
    mlflow_id,
    record_of,
    twin,
    wrong,
)

pytestmark = pytest.mark.usefixtures("in_order")


def mlflow(*words: str) -> None:
    """One of MLflow's own commands."""
    subprocess.run(  # noqa: S603 - our own interpreter and a library's program
        [sys.executable, "-m", "mlflow", *words],
        env={**os.environ, "MLFLOW_TRACKING_URI": embedded().uri},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def said(what: str) -> str:
    """All that is said of something."""
    check = check_of(found(), what)
    return " ".join((check.sentence, *check.details))


def test_a_run_that_was_deleted_is_restored() -> None:
    run_id = mlflow_id(1)
    client().delete_run(run_id)

    told = said("toy: I5")

    assert f"trial 1: it has 0 runs ({run_id} is in its mlflow.json)" in told
    assert "`mlflow runs restore --run-id ID`" in told
    mlflow("runs", "restore", "--run-id", run_id)
    assert {} == wrong(found())


def test_of_two_runs_the_one_that_nobody_knows_is_deleted() -> None:
    mine = mlflow_id(0)
    twin(record_of(0), "FINISHED")
    question = "tags.`risexp.run` = 'toy-000'"
    ids = {each.info.run_id for each in client().search_runs([record_id()], question)}
    (other,) = ids - {mine}

    told = said("toy: I5")

    assert f"trial 0: it has 2 runs ({mine} is in its mlflow.json; {other} is not)" in told
    mlflow("runs", "delete", "--run-id", other)
    assert {} == wrong(found())


def record_id() -> str:
    """MLflow's id of the experiment."""
    return str(client().search_experiments(filter_string="name = 'risexp'")[0].experiment_id)


def test_a_run_whose_values_differ_is_sent_anew() -> None:
    run_id = mlflow_id(2)
    change_record(
        "UPDATE metrics SET value = 7 WHERE key = 'beta' AND step = 3 AND run_uuid = ?", run_id
    )

    assert "`mlflow gc --run-ids ID`" in said("toy: values")
    mlflow("runs", "delete", "--run-id", run_id)
    mlflow("gc", "--backend-store-uri", embedded().uri, "--run-ids", run_id)
    place = folder_of(2).path / "mlflow.json"
    place.rename(place.with_name("mlflow.old"))
    sync(("toy-002",), None)
    assert {} == wrong(found())
