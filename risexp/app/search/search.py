"""A search: a study of a space, its workers, and their supervisor."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import optuna
from pydantic import JsonValue

from risexp.app.run.preflight import cleared
from risexp.app.search.studies import StudyView, open_studies
from risexp.app.search.study_record import StudyUploader, close_used_up, opening, say_of_study
from risexp.app.search.supervisor import Resources, Supervisor
from risexp.callbacks.signals import SIGNALS
from risexp.core.signals import SignalHandler
from risexp.errors import InvalidInput, VerificationFailed
from risexp.hpo.search.pruning_callback import check_pruning_ran, pruning_summary
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.store import StudyStore, find_store, open_store
from risexp.hpo.studies.audit import Saved
from risexp.hpo.studies.hosts import join_home
from risexp.hpo.studies.links import Links
from risexp.hpo.studies.start import StartPoint, StudyStart, base_point, budget_note, fitting
from risexp.hpo.studies.study import StudyRef, find_study, is_study, run_id
from risexp.hpo.studies.table import StudyTable, study_table
from risexp.hpo.trials.limits import set_limit
from risexp.runs.folder import is_run, runs_home
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec, refusal
from risexp.tracking.stores import chosen_store


@dataclass(frozen=True)
class SearchRequest(Resources):
    """A search to start, or to go on with."""

    space: SearchSpace
    study: str
    trials: int
    """Finished ones in total."""
    overrides: Sequence[str] = ()
    epochs: int | None = None
    patience: int | None = None
    sources: Sequence[str] = ()
    """Studies whose best trials come right after trial 0."""
    points: int = 5
    """Number of trials from each of them."""
    unchecked: bool = False
    """Whether to start though preflight fails."""

    @cached_property
    def spec(self) -> StudySpec:
        """The space under what is set on top of it."""
        return StudySpec.of(
            self.space,
            environment=os.environ,
            overrides=self.overrides,
            epochs=self.epochs,
            patience=self.patience,
        )


@dataclass(frozen=True)
class SearchResult:
    """The end of a search."""

    table: StudyTable
    exit_code: int
    heard: str
    """Reports to the pruner and its decisions, in a sentence."""
    unsent: int
    """Lines of the record that were not uploaded yet."""
    saved: Saved = field(default_factory=Saved)
    """Epochs that pruning saved."""
    pruner_fault: str | None = None
    said: tuple[str, ...] = ()
    """Every sentence that was said meanwhile, e.g. of workers that died."""

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return self.table.as_json() | {
            "exit_code": self.exit_code,
            "pruner": self.heard,
            "pruner_fault": self.pruner_fault,
            "saved": asdict(self.saved),
            "unsent": self.unsent,
            "said": list(self.said),
        }


def search(request: SearchRequest, view: StudyView) -> SearchResult:
    """Search a space until its trials are done, or go on with it."""
    spec = request.spec
    request.check(request.study)
    asked: dict[str, JsonValue] = {}
    if request.sources:
        asked = {"--from": ", ".join(request.sources), "--points": request.points}
    # A search with points of another study has a store already.
    with open_studies(find_store if request.sources else open_store) as store:
        start = start_of(
            store,
            request.study,
            "--study",
            asked,
            lambda: StudyStart.new(spec, _points(store, request, view), asked),
        )
        if sentence := refusal(request.study, start.spec, spec):
            raise InvalidInput(sentence)
        for note in Pruning.of(spec).notes(request.trials):
            view.say(note)
        if not request.unchecked:
            _check_learns(spec)
        study = start.open(store, request.study, request.trials)
        return run_study(store, study, request, view)


def start_of(
    store: StudyStore,
    study: str,
    option: str,
    asked: Mapping[str, JsonValue],
    create: Callable[[], StudyStart],
) -> StudyStart:
    """What a study started with; where it does not exist, what it is to start with.

    `option` is the one that names another study; the points follow from the options `asked`.
    """
    if not is_study(store, study):
        check_no_runs(study, option)
        return create()
    start = StudyStart.of(find_study(store, study))
    start.check_asked(study, asked, option)
    return start


def check_no_runs(study: str, option: str) -> None:
    """Check that no runs have the names of a new study's runs."""
    if is_run(run_id(study, 0)):
        raise InvalidInput(
            f"runs of an earlier study {study!r} are in {runs_home()}: give {option} another name, "
            "or move them away"
        )


def run_study(
    store: StudyStore, study: StudyRef, resources: Resources, view: StudyView
) -> SearchResult:
    """Run the workers of an open study until no trial is left, or it has ended."""
    tracking = chosen_store(resources.tracking)
    # Where no trial is left, nothing is trained: a command that only shows binds no study.
    if not study_table(store, study).over and (sentence := join_home(store, study)):
        view.say(sentence)
    uploader = StudyUploader(study, tracking, Links(store, study), opening(study))
    supervisor = Supervisor(store, study, resources, view)
    set_limit(store, study, resources.trial_timeout_s)
    with uploader, SignalHandler(kinds=SIGNALS) as signals:
        code = supervisor.run(signals)
        close_used_up(study_table(store, study))
    table, failure = study_table(store, study), uploader.failure
    if tracking is not None and failure is None:
        failure = say_of_study(tracking, study, table)
    if failure is not None:
        view.say(f"MLflow misses something: {failure}; `risexp sync` sends it")
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    fault = check_pruning_ran(handle)
    return SearchResult(
        table=table,
        exit_code=code if fault is None else VerificationFailed.exit_code,
        heard=pruning_summary(handle),
        unsent=uploader.unsent(),
        saved=Saved.of_study(study.spec, table.trials),
        pruner_fault=None if fault is None else fault.sentence,
        said=tuple(view.sentences),
    )


def _points(store: StudyStore, request: SearchRequest, view: StudyView) -> list[StartPoint]:
    """The base, and after it the best trials of other studies that fit."""
    spec = request.spec
    points = [base_point(spec)]
    for name in request.sources:
        source = find_study(store, name)
        chosen = fitting(spec, source.spec, study_table(store, source), request.points, points)
        if not chosen.points:
            number, reason = chosen.rejected[0] if chosen.rejected else (0, None)
            why = "" if reason is None else f": trial {number}: {reason}"
            raise InvalidInput(
                f"--from {name}: none of its complete trials can be a point of this search{why}"
            )
        for sentence in chosen.sentences():
            view.say(sentence)
        points += chosen.points
    if note := budget_note(len(points), request.trials):
        view.say(note)
    return points


def _check_learns(spec: StudySpec) -> None:
    report = cleared(spec.base)
    if report.verdict == "fail":
        raise VerificationFailed(
            f"the base configuration of the search does not pass `risexp preflight`: "
            f"{' '.join(report.advice[:1])} --unchecked searches nevertheless"
        )
