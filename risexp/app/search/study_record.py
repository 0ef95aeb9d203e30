"""The record of a study in MLflow: its own run, and one uploader for the runs of all trials."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from risexp.core.locks import Busy
from risexp.core.signals import write_stderr
from risexp.core.threads import BackgroundThread
from risexp.errors import DataInvalid, RisexpError
from risexp.hpo.store.leases import HANGING, USED_UP
from risexp.hpo.studies.links import Links, study_page
from risexp.hpo.studies.study import StudyRef, run_id
from risexp.hpo.studies.table import StudyTable
from risexp.hpo.trials.limits import FAILING
from risexp.runs.folder import find_run, is_run, runs_home
from risexp.runs.journal import utc_ms
from risexp.runs.outcome import Outcome
from risexp.runs.spec import EXPERIMENT, Labels, Parent
from risexp.space.files import space_text
from risexp.tracking.schema import opened
from risexp.tracking.stores import OFF, Failure, TrackingStore, attempt, in_environment
from risexp.tracking.study_run import (
    ParentStatus,
    StudyRunUpdate,
    update_study_run,
    write_study_run,
)
from risexp.tracking.upload_state import (
    UploadState,
    experiment_page,
    page_in_markdown,
    run_page,
)

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

_LOOK_S: Final = 2.0
"""Between two passes over the folders of a study's runs."""
_LONGEST_S: Final = 60.0
"""Between two attempts at a store that does not answer."""


def study_labels(study: StudyRef, preset: str | None, store: TrackingStore | None) -> Labels:
    """Labels of the runs of a study's trials, without the values of a single trial."""
    return Labels(
        store=OFF if store is None else store.name,
        preset=preset,
        study=study.name,
        parent=Parent(study.name, study.uid, utc_ms()),
    )


def opening(study: StudyRef) -> StudyRunUpdate:
    """Tags, parameters and files of a study's run when the study starts or goes on."""
    space = study.spec.space
    return StudyRunUpdate(
        tags={
            "risexp.state": "running",
            "risexp.reason": "",
            "risexp.trials": str(study.trials),
            "mlflow.note.content": (
                f"Study `{study.name}` over space `{space.name}`, of {study.trials} trials: its "
                f"children. In optuna-dashboard: `{study_page(study)}`."
            ),
        },
        # Only those that stay the same when the study goes on.
        params={
            "space": space.name,
            "base": space.base or "default",
            "sampler": space.sampler.kind,
            "pruner": space.pruner.kind,
            "epochs": str(study.spec.base.training.epochs),
        },
        files={"space.yaml": space_text(space).encode()},
    )


class StudyUploader(BackgroundThread):
    """Uploads the records of all trials of a study from a background thread.

    Workers write to their folders only. `risexp sync` uploads what a store still misses.
    """

    def __init__(
        self,
        study: StudyRef,
        store: TrackingStore | None,
        links: Links | None = None,
        first: StudyRunUpdate | None = None,
        say: Callable[[str], None] = write_stderr,
    ) -> None:
        """Prepare the thread; without a store it uploads nothing.

        `links` write the pages of the runs into the study; `first` is the update of the study's own
        run, for the process that leads the search; `say` receives sentences about damaged runs.
        """
        super().__init__("record", _LONGEST_S)
        self.failure: str | None = None
        """Why the last pass failed, in a sentence."""
        self.damaged: dict[str, str] = {}
        """Runs whose folders cannot be read, with the reason."""
        self._say = say
        self._study = study
        self._store = store
        self._links = links
        self._first = first
        self._note: str | None = None
        self._linked: set[int] = set()
        self._runs: TrackingClient | None = None

    def unsent(self) -> int:
        """Lines of the study's runs that were not uploaded yet; 0 without a store."""
        if self._store is None:
            return 0
        return sum(state.unsent() for state in self._unsent_runs())

    def _work(self) -> None:
        store, pause = self._store, _LOOK_S
        if store is None:
            return
        while not self._left.wait(pause):
            pause = self._pass(store, pause, live=True)
        self._pass(store, pause, live=False)

    def _pass(self, store: TrackingStore, pause: float, *, live: bool) -> float:
        """One pass over all folders; the pause before the next."""
        outcome = attempt(partial(self._upload, store, live=live))
        if self._links is not None:
            # A link that fails is written with the next pass, and is no part of the record.
            attempt(partial(self._link, self._links))
        self.failure = outcome.sentence if isinstance(outcome, Failure) else None
        return min(2.0 * pause, _LONGEST_S) if isinstance(outcome, Failure) else _LOOK_S

    def _upload(self, store: TrackingStore, *, live: bool) -> None:
        from risexp.tracking.uploader import Uploader

        with in_environment(store):
            self._runs = self._runs or opened(store)
            if self._first is not None:
                self._begin(store, self._runs, self._first)
                self._first = None
            for state in self._unsent_runs():
                with self._sound(state.run), suppress(Busy), state.sending():
                    Uploader(state, store.name, self._runs).drain(live=live)

    def _begin(self, store: TrackingStore, runs: "TrackingClient", first: StudyRunUpdate) -> None:
        """Open the study's run in MLflow, and note its page for the dashboard."""
        study, place = self._study, runs_home()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        experiment = runs.experiment(EXPERIMENT)
        parent = Parent(study.name, study.uid, utc_ms())
        run = write_study_run(runs, place, parent, first, experiment)
        page = run_page(store.name, experiment, run)
        above = page_in_markdown(experiment_page(store.name, experiment))
        self._note = f"In MLflow: study {page_in_markdown(page)}, experiment {above}"

    def _link(self, links: Links) -> None:
        """Write the pages of runs that are new into the study and its trials."""
        if self._note is not None:
            links.tell_study(self._note)
            self._note = None
        for number in range(self._study.trials):
            name = run_id(self._study.name, number)
            if number in self._linked or not is_run(name):
                continue
            known = UploadState(runs_home() / name).progress()
            if known is not None and known.run_id:
                page = run_page(known.store, known.experiment_id, known.run_id)
                links.tell_trial(number, known.run_id, page, f"In MLflow: {page_in_markdown(page)}")
                self._linked.add(number)

    def _unsent_runs(self) -> Iterable[UploadState]:
        names = (run_id(self._study.name, number) for number in range(self._study.trials))
        unsent = list[UploadState]()
        for name in names:
            with self._sound(name):
                if is_run(name) and (state := UploadState(runs_home() / name)).unsent():
                    unsent.append(state)
        return unsent

    @contextmanager
    def _sound(self, run: str) -> Iterator[None]:
        """Name a run that cannot be sent, once: those of others go on.

        If its store does not answer either, that is no fault of the run.
        """
        try:
            yield
        except (RisexpError, OSError) as error:
            if self._runs is not None and not isinstance(error, DataInvalid):
                self._runs.ping()
            if run not in self.damaged:
                self.damaged[run] = str(error)
                self._say(f"the record of {run} cannot be sent: {error}")


def close_used_up(table: StudyTable) -> None:
    """Close the runs of trials that have no attempt left: no worker will do it."""
    for row in table.trials:
        name = run_id(table.name, row.number)
        if row.state != "failed" or row.reason not in (USED_UP, HANGING) or not is_run(name):
            continue
        folder = find_run(name)
        if folder.outcome() is None:
            hung = row.reason == HANGING
            how = "hung: see stacks-*.txt here" if hung else "died: see the workers' logs"
            sentence = f"{row.attempts} attempts at trial {row.number} {how}"
            folder.open_journal().note(row.epoch, "ended", {"reason": row.reason})
            folder.close(Outcome("failed", row.reason, sentence, 1))


def say_of_study(store: TrackingStore, study: StudyRef, table: StudyTable) -> str | None:
    """Update the run of a study; return why that failed, or None."""
    status: ParentStatus = "FINISHED"
    if not table.over:
        status = "FAILED" if table.ended == FAILING else "KILLED"
    left = [str(row.number) for row in table.trials if row.state == "waiting"]
    best = table.best
    tags = {
        "risexp.state": "complete" if table.over else "ended",
        "risexp.reason": table.ended or ("finished" if table.over else "left"),
        "risexp.left": ", ".join(left),
        "risexp.best": "" if best is None else run_id(study.name, best.number),
    }
    parent = Parent(study.name, study.uid, utc_ms())
    said = update_study_run(store, runs_home(), parent, StudyRunUpdate(status, utc_ms(), tags))
    return said.sentence if isinstance(said, Failure) else None
