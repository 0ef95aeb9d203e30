"""A search from its space to its table: a study, a crew of workers, and somebody who looks on."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import optuna
from pydantic import JsonValue

from risexp.app.run.preflight import cleared
from risexp.app.search.resources import Resources, validate_launch, worker_specs
from risexp.app.search.study_record import StudyUploader, close_used_up, opening, say_of_study
from risexp.app.search.supervisor import (
    Messages,
    Say,
    Show,
    Supervisor,
    SupervisorConfig,
)
from risexp.core.signals import SignalHandler
from risexp.errors import InvalidInput, VerificationFailed
from risexp.hpo.search.pruning_callback import check_pruning_ran, pruning_summary
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.address import store_url
from risexp.hpo.store.store import StudyStore, find_store, open_store
from risexp.hpo.studies.audits import Saved
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.links import Links
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.start_points import StartPoint, base_point, crowded, fitting
from risexp.hpo.studies.study import StudyRef, find_study, is_study, open_study, run_id
from risexp.hpo.studies.table import StudyTable, study_table
from risexp.hpo.trials.limits import set_limit
from risexp.runs.folder import is_run, runs_home
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec, refusal
from risexp.tracking.stores import TrackingStore as Destination


@dataclass(frozen=True)
class SearchRequest(Resources):
    """What a person asks of a search."""

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
    """How many of each."""
    unchecked: bool = False
    """Whether to begin though the base configuration may not learn."""


@dataclass(frozen=True)
class SearchResult:
    """How a search ended."""

    table: StudyTable
    exit_code: int
    heard: str
    """What the pruner was told and did, in a sentence."""
    unsent: int
    """Lines of the record that are in no store yet."""
    saved: Saved = field(default_factory=Saved)
    """What ending trials early saved."""
    pruner_fault: str | None = None
    said: tuple[str, ...] = ()
    """Every sentence that was said meanwhile, e.g. of workers that died."""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return self.table.as_json() | {
            "exit_code": self.exit_code,
            "pruner": self.heard,
            "pruner_fault": self.pruner_fault,
            "saved": asdict(self.saved),
            "unsent": self.unsent,
            "said": list(self.said),
        }


def search(wanted: SearchRequest, show: Show, say: Say) -> SearchResult:
    """Search a space, or go on with it, until its trials are done.

    Args:
        wanted: What is asked for.
        show: Told now and then how the study stands, with a remark.
        say: Told sentences that stay.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    charter = _charter(wanted)
    destination = validate_launch(wanted.study, wanted)
    told = Messages(say)
    # Who begins with another study's trials has a store already.
    with open_studies(find_store if wanted.sources else open_store) as store:
        beginning = _beginning(store, wanted, charter, told)
        for note in Pruning.of(charter).notes(wanted.trials):
            told(note)
        if not wanted.unchecked:
            _expect_learning(charter)
        study = open_study(store, beginning.plan(wanted.study, wanted.trials))
        found = supervise(store, study, wanted, destination, show, say)
        return replace(found, said=(*told.sentences, *found.said))


@contextmanager
def open_studies(opener: Callable[[str | None], StudyStore]) -> Iterator[StudyStore]:
    """The store of studies of this home, or the one that the environment names.

    Args:
        opener: `open_store`, or `find_store` where nothing is to be made.
    """
    # Optuna's sentences are for whoever calls it from a program.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store = opener(store_url())
    try:
        yield store
    finally:
        store.close()


def existing_study(store: StudyStore, study: str, option: str) -> StudyStart | None:
    """What a study of this name began with; None where there is none.

    Args:
        store: Where it may be.
        study: Its name.
        option: The one that gives another study its name.

    Raises:
        InvalidInput: It was not made by risexp, or one that is gone left runs behind.
    """
    if is_study(store, study):
        return StudyStart.of(find_study(store, study))
    expect_no_runs(study, option)
    return None


def expect_no_runs(study: str, option: str) -> None:
    """See to it that no runs have the names that those of a new study would have.

    Args:
        study: Its name.
        option: The one that gives another study its name.

    Raises:
        InvalidInput: They are there.
    """
    if is_run(run_id(study, 0)):
        raise InvalidInput(
            f"runs of an earlier study {study!r} are in {runs_home()}: give {option} another name, "
            "or move them away"
        )


def supervise(
    store: StudyStore,
    study: StudyRef,
    means: Resources,
    destination: Destination | None,
    show: Show,
    say: Say,
) -> SearchResult:
    """Let a crew work on a study until nothing of it is left, or it has ended.

    Args:
        store: Where the study is.
        study: One that has been opened.
        means: Who works on it.
        destination: Where runs are recorded.
        show: Told now and then how the study stands, with a remark.
        say: Told sentences that stay.

    Raises:
        RisexpError: The machine failed.
    """
    charter = spec_from_facts(study.name, study.facts)
    space = charter.space
    record = StudyUploader(study, destination, Links(store, study), opening(study, charter))
    token, told = secrets.token_hex(8), Messages(say)
    orders = SupervisorConfig(
        token, worker_specs(study.name, means, token), means.timeout_s, means.until
    )
    set_limit(store, study, means.trial_timeout_s)
    with record, SignalHandler() as asked:
        code = Supervisor(store, study, space, orders, show, told).run(asked)
        close_used_up(study_table(store, study, space))
    failure = record.failure
    if destination is not None and failure is None:
        failure = say_of_study(destination, study, study_table(store, study, space))
    if failure is not None:
        told(f"MLflow misses something: {failure}; `risexp sync` sends it")
    found = _searched(store, study, charter, code, record.unsent())
    return replace(found, said=tuple(told.sentences))


def _searched(
    store: StudyStore, study: StudyRef, charter: StudySpec, code: int, unsent: int
) -> SearchResult:
    table = study_table(store, study, charter.space)
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    fault = check_pruning_ran(handle)
    return SearchResult(
        table=table,
        exit_code=code if fault is None else VerificationFailed.exit_code,
        heard=pruning_summary(handle),
        unsent=unsent,
        saved=Saved.of_study(charter, table.trials),
        pruner_fault=None if fault is None else fault.sentence,
    )


def _charter(wanted: SearchRequest) -> StudySpec:
    return StudySpec.of(
        wanted.space,
        environment=os.environ,
        overrides=wanted.overrides,
        epochs=wanted.epochs,
        patience=wanted.patience,
    )


def _beginning(
    store: StudyStore, wanted: SearchRequest, charter: StudySpec, say: Say
) -> StudyStart:
    """What the study begins with, or began with.

    Raises:
        InvalidInput: One of its name is another one, or left runs behind; or there are no points.
    """
    asked: dict[str, JsonValue] = {}
    if wanted.sources:
        asked = {"--from": ", ".join(wanted.sources), "--points": wanted.points}
    before = existing_study(store, wanted.study, "--study")
    if before is None:
        return StudyStart.new(charter, _points(store, wanted, charter, say), asked)
    before.expect_asked(wanted.study, asked, "--study")
    refused = refusal(wanted.study, before.charter, charter)
    if refused is not None:
        raise InvalidInput(refused)
    return before


def _points(
    store: StudyStore, wanted: SearchRequest, charter: StudySpec, say: Say
) -> list[StartPoint]:
    """The base, and after it the best trials of other studies that fit."""
    points = [base_point(charter)]
    for name in wanted.sources:
        source = find_study(store, name)
        theirs = spec_from_facts(name, source.facts)
        rows = study_table(store, source, theirs.space).trials
        found = fitting(charter, name, theirs, rows, wanted.points, points)
        if not found.points:
            why = f": trial {found.left[0][0]}: {found.left[0][1]}" if found.left else ""
            raise InvalidInput(
                f"--from {name}: none of its complete trials can be a point of this search{why}"
            )
        for sentence in found.sentences():
            say(sentence)
        points += found.points
    if (full := crowded(len(points), wanted.trials)) is not None:
        say(full)
    return points


def _expect_learning(charter: StudySpec) -> None:
    report = cleared(charter.base)
    if report.verdict == "fail":
        raise VerificationFailed(
            f"the base configuration of the search does not pass `risexp preflight`: "
            f"{' '.join(report.advice[:1])} --unchecked searches nevertheless"
        )
