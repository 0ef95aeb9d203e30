"""The best trials of a study at full fidelity under several seeds, in a study of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from risexp.app.search.resources import Resources, validate_launch
from risexp.app.search.search import SearchResult, existing_study, open_studies, supervise
from risexp.app.search.supervisor import Messages, Say, Show
from risexp.errors import InvalidInput
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.store import StudyStore, find_store
from risexp.hpo.studies.confirmation import (
    Confirmation,
    ConfirmedPoint,
    candidates,
    seeds_of,
    under_seeds,
)
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.start import StudyStart, by_slot
from risexp.hpo.studies.study import StudyRef, find_study, is_study, open_study, run_id
from risexp.hpo.studies.table import study_table
from risexp.space.confirm import SCENES, confirming, scenes_are_free, unused_seeds


@dataclass(frozen=True)
class ConfirmRequest(Resources):
    """What a person asks to be confirmed."""

    study: str
    """The one whose trials are trained anew."""
    name: str
    """Of the study they become."""
    top: int = 5
    """How many beside the base."""
    seeds: int = 3
    epochs: int | None = None
    """In place of the preset's."""


@dataclass(frozen=True)
class ConfirmResult:
    """What was confirmed, and how its study ended."""

    source: str
    epochs: int
    """Of the base."""
    confirmation: Confirmation
    searched: SearchResult

    def run_of(self, candidate: ConfirmedPoint) -> str | None:
        """The run of a candidate that has the smallest k_loc."""
        return None if candidate.best is None else run_id(self.searched.table.name, candidate.best)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        best = self.confirmation.best
        return {
            "source": self.source,
            "epochs": self.epochs,
            **self.confirmation.as_json(),
            "best_run": None if best is None else self.run_of(best),
            "study": self.searched.as_json(),
        }


def confirm(wanted: ConfirmRequest, show: Show, say: Say) -> ConfirmResult:
    """Train the best trials of a study to their ends under several seeds, or go on with that.

    Args:
        wanted: What is asked for.
        show: Told now and then how the confirming study stands.
        say: Told sentences that stay.

    Raises:
        RisexpError: There is no such study, nothing of it can be confirmed, or the machine failed.
    """
    destination = validate_launch(wanted.name, wanted)
    asked, told = _asked(wanted), Messages(say)
    with open_studies(find_store) as store:
        beginning = existing_study(store, wanted.name, "--name")
        if beginning is None:
            beginning = _beginning(store, wanted, asked, told)
        beginning.expect_asked(wanted.name, asked, "--name")
        study = open_study(store, beginning.plan(wanted.name, len(beginning.points)))
        found = supervise(store, study, wanted, destination, show, say)
        rows = by_slot(store, study, found.table)
    return ConfirmResult(
        source=wanted.study,
        epochs=beginning.charter.base.training.epochs,
        confirmation=Confirmation.of(beginning.points, rows),
        searched=replace(found, said=(*told.sentences, *found.said)),
    )


def confirmed_so_far(store: StudyStore, study: StudyRef) -> Confirmation | None:
    """What became of a study's best trials in STUDY-confirm; None where there is no such study.

    Args:
        store: Where both are.
        study: The one whose trials were to be confirmed.
    """
    name = f"{study.name}-confirm"
    if not is_study(store, name):
        return None
    found = find_study(store, name)
    beginning = StudyStart.of(found)
    if beginning.asked.get("--study") != study.name:
        return None
    table = study_table(store, found, beginning.charter.space)
    return Confirmation.of(beginning.points, by_slot(store, found, table))


def _asked(wanted: ConfirmRequest) -> dict[str, JsonValue]:
    """The options that the points follow from."""
    asked: dict[str, JsonValue] = {
        "--study": wanted.study,
        "--top": wanted.top,
        "--seeds": wanted.seeds,
    }
    return asked if wanted.epochs is None else {**asked, "--epochs": wanted.epochs}


def _beginning(
    store: StudyStore, wanted: ConfirmRequest, asked: Mapping[str, JsonValue], say: Say
) -> StudyStart:
    source = find_study(store, wanted.study)
    charter = spec_from_facts(source.name, source.facts)
    table = study_table(store, source, charter.space)
    found = candidates(charter, source.name, table.trials, wanted.top)
    if len(found) == 1:
        raise InvalidInput(
            f"study {source.name} has no complete trial beside its base: search until it has one"
        )
    if not table.over:
        left = table.count("waiting") + table.count("running")
        say(f"study {source.name} is not over: {left} of its trials are not considered")
    if len(found) <= wanted.top:
        say(f"study {source.name} has {len(found) - 1} trials to confirm, not {wanted.top}")
    seeds = unused_seeds(seeds_of(charter, table.trials), wanted.seeds)
    full = confirming(charter, seeds, wanted.epochs, f"{charter.space.name}-confirm")
    if not scenes_are_free(charter.space):
        say(
            f"{SCENES} is as in the search: space {charter.space.name} varies it, or asks in a "
            "condition what it is"
        )
    # Workers ask for it, and would die of a plan that cannot be.
    Pruning.of(full)
    return StudyStart.new(full, under_seeds(found, seeds), asked)
