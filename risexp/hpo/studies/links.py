"""Links from a study to its runs in MLflow: attributes of its trials, and notes in the dashboard.

A trial does not depend on them: they may be written without its lease, late, again, or never.
"""

from typing import Final

from optuna.exceptions import UpdateFinishedTrialError

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef

RUN: Final = "mlflow.run"
"""Attribute of a trial: MLflow's id of its run."""
PAGE: Final = "mlflow.page"
"""Attribute of a trial: the page of that run."""


def trial_page(study: StudyRef, number: int) -> str:
    """The page of a trial under the address of an optuna-dashboard."""
    return f"{study_page(study)}/trials?numbers={number}"


def study_page(study: StudyRef) -> str:
    """The page of a study under the address of an optuna-dashboard."""
    return f"/dashboard/studies/{study.id}"


class Links:
    """Writes the links of a study; a note that is there stays as it is."""

    def __init__(self, store: StudyStore, study: StudyRef) -> None:
        self._storage = store.once().storage
        self._study = study

    def tell_trial(self, number: int, run_id: str, page: str, note: str) -> None:
        """Link a trial to its run.

        An ended trial takes no more attributes: it gets a note in the dashboard instead.
        """
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study.id, number)
        attributes = {RUN: run_id, PAGE: page}
        before = self._storage.get_trial(trial_id).user_attrs
        try:
            for name, value in attributes.items():
                if before.get(name) != value:
                    self._storage.set_trial_user_attr(trial_id, name, value)
        except UpdateFinishedTrialError:
            self._note(f"dashboard:{trial_id}", note)

    def tell_study(self, note: str) -> None:
        """Put a note above the study."""
        self._note("dashboard", note)

    def _note(self, subject: str, text: str) -> None:
        """Write a note as optuna-dashboard keeps it, if there is none."""
        version, body = f"{subject}:note_ver", f"{subject}:note_str:0"
        known = self._storage.get_study_system_attrs(self._study.id)
        if version not in known:
            self._storage.set_study_system_attr(self._study.id, body, text)
            self._storage.set_study_system_attr(self._study.id, version, 1)
