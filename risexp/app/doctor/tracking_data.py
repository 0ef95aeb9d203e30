"""What the stores of a study hold of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from risexp.app.doctor.facts import StudyStatus
from risexp.app.run.sync import Destinations
from risexp.tracking.stores import Failure, TrackingStore, chosen_store
from risexp.tracking.study_run import StudyRuns, TrialRun

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient


class RunReader(Protocol):
    """How much is read of a study."""

    def __call__(self, runs: "TrackingClient", /, *, name: str, uid: str) -> StudyRuns:
        """Read it."""


@dataclass(frozen=True)
class TrackedStudy:
    """Its runs, and where they are."""

    places: Mapping[str, TrackingStore] = field(default_factory=dict)
    """Where each run is, by its id there."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Status of the study's own run, by its id; there should be one."""
    runs: tuple[TrialRun, ...] = ()
    """Of its trials."""
    judged: bool = False
    """Whether there is a record that can be read and judged."""
    failure: str | None = None
    """Why a store did not answer."""

    def of(self, number: int) -> tuple[TrialRun, ...]:
        """The runs of a trial."""
        return tuple(each for each in self.runs if each.number == number)


def recorded(facts: StudyStatus, destinations: Destinations, read: RunReader) -> TrackedStudy:
    """Read what there is of a study in every store that its folders name.

    Args:
        facts: Of the study.
        destinations: Where to ask.
        read: `study_runs`, or `study_rows` where numbers are needed too.
    """
    question = partial(read, name=facts.name, uid=facts.study.uid)
    places, parents, runs = dict[str, TrackingStore](), dict[str, str](), list[TrialRun]()
    answered = False
    for store in _stores(facts):
        answer = destinations.ask(store, question)
        if isinstance(answer, Failure):
            return TrackedStudy(failure=answer.sentence)
        if answer is not None:
            answered = True
            parents |= answer.parents
            runs += answer.trials
            places |= dict.fromkeys(
                [*answer.parents, *(each.run_id for each in answer.trials)], store
            )
    # Whoever searched elsewhere without a record left nothing here to be judged.
    judged = answered and bool(facts.folders or runs)
    return TrackedStudy(places, parents, tuple(runs), judged)


def _stores(facts: StudyStatus) -> Iterable[TrackingStore]:
    """Every store that the study is recorded in, each once."""
    if not facts.folders:
        chosen = chosen_store(None)
        return () if chosen is None else (chosen,)
    stores = [seen.store for seen in facts.folders.values()]
    return {store.name: store for store in stores if store is not None}.values()
