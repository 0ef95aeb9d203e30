"""A search from its space to its table: a study, a crew of workers, and somebody who looks on."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna

from risexp.app.devices import device_named
from risexp.app.lookout import Asked, Lookout, Orders, Say, Show
from risexp.app.preflight import cleared
from risexp.app.study_record import StudyRecord, close_used_up, say_of_study
from risexp.app.worker import STORE, store_url
from risexp.config.space import SearchSpace
from risexp.config.space_charter import Charter, refusal
from risexp.config.space_files import home
from risexp.errors import InvalidInput, VerificationFailed
from risexp.hpo.address import embedded
from risexp.hpo.charters import charter_of, facts_of
from risexp.hpo.crew import Post
from risexp.hpo.hearing import heard, pruner_heard
from risexp.hpo.pruning import Pruning
from risexp.hpo.store import Store, open_store
from risexp.hpo.studies import Plan, StudyRef, find_study, open_study, run_id, study_names
from risexp.hpo.suggest import zero_parameters
from risexp.hpo.table import StudyTable, study_table
from risexp.tracking.folder import is_name, is_run, runs_home
from risexp.tracking.stores import VARIABLE, chosen_store
from risexp.tracking.stores import Store as Destination


@dataclass(frozen=True)
class Wanted:
    """What a person asks of a search."""

    space: SearchSpace
    study: str
    trials: int
    """Finished ones in total."""
    workers: int = 1
    gpus: Sequence[str] = ()
    """Workers share them in turn; none: every worker on the CPU, or as `device` says."""
    device: str = "auto"
    threads: int = 1
    overrides: Sequence[str] = ()
    epochs: int | None = None
    patience: int | None = None
    timeout_s: float | None = None
    until: float | None = None
    """Value of a complete trial below which the study ends."""
    tracking: str | None = None
    unchecked: bool = False
    """Whether to begin though the base configuration may not learn."""


@dataclass(frozen=True)
class Searched:
    """How a search ended."""

    table: StudyTable
    exit_code: int
    heard: str
    """What the pruner was told and did, in a sentence."""
    unsent: int
    """Lines of the record that are in no store yet."""
    look: tuple[str, ...] = ()
    """Commands that show it in a browser."""
    pruner_fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return self.table.as_json() | {
            "exit_code": self.exit_code,
            "pruner": self.heard,
            "pruner_fault": self.pruner_fault,
            "unsent": self.unsent,
        }


def search(wanted: Wanted, show: Show, say: Say) -> Searched:
    """Search a space, or go on with it, until its trials are done.

    Args:
        wanted: What is asked for.
        show: Told now and then how the study stands, with a remark.
        say: Told sentences that stay.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    # Its sentences are for whoever calls it from a program.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    charter = _charter(wanted)
    destination = _possible(wanted)
    store = open_store(store_url())
    try:
        study = _study(store, wanted, charter, say)
        record = StudyRecord(study, destination)
        token = secrets.token_hex(8)
        orders = Orders(token, posts(wanted, token), wanted.timeout_s, wanted.until)
        with record, Asked() as asked:
            code = Lookout(store, study, charter.space, orders, show, say).run(asked)
            close_used_up(study_table(store, study, charter.space))
        failure = record.failure
        if destination is not None and failure is None:
            table = study_table(store, study, charter.space)
            failure = say_of_study(destination, study, table)
        if failure is not None:
            say(f"MLflow misses something: {failure}; `risexp sync` sends it")
        found = _searched(store, study, charter.space, code, record.unsent())
        return replace(found, look=tuple(_shown_by(destination)))
    finally:
        store.close()


def _searched(
    store: Store, study: StudyRef, space: SearchSpace, code: int, unsent: int
) -> Searched:
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    fault = pruner_heard(handle)
    return Searched(
        table=study_table(store, study, space),
        exit_code=code if fault is None else VerificationFailed.exit_code,
        heard=heard(handle),
        unsent=unsent,
        pruner_fault=None if fault is None else fault.sentence,
    )


def _shown_by(destination: Destination | None) -> Iterator[str]:
    """The commands that show a study and its runs, without the secrets of an address."""
    if destination is not None and destination.database is not None:
        yield f"mlflow ui --backend-store-uri sqlite:///{destination.database} --workers 1"
    elif destination is not None:
        yield destination.name
    yield f"optuna-dashboard {embedded() if store_url() is None else f'${STORE}'}"


def _charter(wanted: Wanted) -> Charter:
    return Charter.of(
        wanted.space,
        environment=os.environ,
        overrides=wanted.overrides,
        epochs=wanted.epochs,
        patience=wanted.patience,
    )


def _possible(wanted: Wanted) -> Destination | None:
    """Where runs are recorded, once everything else that workers are told is known to be possible.

    Raises:
        RisexpError: A name cannot be that of a study, or there is no such device or store.
    """
    if not is_name(run_id(wanted.study, 0)):
        raise InvalidInput(
            f"{wanted.study!r} is no name of a study: use letters, digits, and . _ -"
        )
    device_named(_device(wanted))
    return chosen_store(wanted.tracking)


def _study(store: Store, wanted: Wanted, charter: Charter, say: Say) -> StudyRef:
    """The study, begun or gone on with.

    Raises:
        InvalidInput: One of its name is another one, or left runs behind.
        VerificationFailed: Its base configuration cannot learn.
    """
    facts = facts_of(charter)
    if wanted.study in study_names(store):
        found = find_study(store, wanted.study)
        refused = refusal(wanted.study, charter_of(found.name, found.facts), charter)
        if refused is not None:
            raise InvalidInput(refused)
        facts = dict(found.facts)
    elif is_run(run_id(wanted.study, 0)):
        raise InvalidInput(
            f"runs of an earlier study {wanted.study!r} are in {runs_home()}: give --study "
            "another name, or move them away"
        )
    for note in Pruning.of(charter).notes(wanted.trials):
        say(note)
    if not wanted.unchecked:
        _expect_learning(charter)
    return open_study(store, Plan(wanted.study, wanted.trials, facts, zero_parameters(charter)))


def _expect_learning(charter: Charter) -> None:
    report = cleared(charter.base)
    if report.verdict == "fail":
        raise VerificationFailed(
            f"the base configuration of the search does not pass `risexp preflight`: "
            f"{' '.join(report.advice[:1])} --unchecked searches nevertheless"
        )


def posts(wanted: Wanted, token: str) -> list[Post]:
    """What every worker of a crew is started with."""
    logs = home().absolute() / "mlruns" / "studies" / wanted.study
    threads = str(wanted.threads)
    shared: dict[str, str] = {
        "RISEXP_HOME": str(home().absolute()),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if (url := store_url()) is not None:
        shared[STORE] = url
    told = {"study": wanted.study, "crew": token, "threads": threads, "device": _device(wanted)}
    command = ["worker", *(word for name, value in told.items() for word in (f"--{name}", value))]
    if wanted.tracking is not None:
        shared[VARIABLE] = wanted.tracking
    return [
        Post(
            index=index,
            command=command,
            environment={**shared, **_gpu(wanted, index)},
            log=logs / f"worker-{index}.log",
        )
        for index in range(wanted.workers)
    ]


def _device(wanted: Wanted) -> str:
    """What workers compute on; a GPU that is not there is not to become a CPU."""
    return "cuda" if wanted.gpus and wanted.device == "auto" else wanted.device


def _gpu(wanted: Wanted, index: int) -> Mapping[str, str]:
    """The one GPU that a worker sees."""
    if not wanted.gpus:
        return {}
    return {"CUDA_VISIBLE_DEVICES": wanted.gpus[index % len(wanted.gpus)]}
