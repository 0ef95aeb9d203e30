"""A store of one study, made once for all tests of web pages."""

from pathlib import Path

import pytest

RUN = "#/experiments/1/runs/0123456789abcdef0123456789abcdef"
"""The page in MLflow to which the notes of the study lead."""


@pytest.fixture(scope="session")
def study_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store whose study has one finished trial with a note, and one without."""
    from risexp.hpo.studies.links import Links
    from tests.support.worker_processes import opened, owner, queue_of, toy_study, train

    path = tmp_path_factory.mktemp("dashboard") / "optuna.db"
    with opened(f"sqlite:///{path}") as store:
        study = toy_study(store, 2)
        claim = queue_of(store, study).claim(owner())
        assert claim is not None
        train(claim)
        links = Links(store, study)
        links.tell_trial(0, "abc", RUN, f"In MLflow: `{RUN}`")
        links.tell_trial(1, "abc", RUN, "nowhere")
        links.tell_study(f"In MLflow: study `{RUN}`, experiment `#/experiments/1`")
    return path
