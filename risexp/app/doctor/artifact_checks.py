"""Whether the folders of a study's trials have what the trials are worth: value and checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from risexp.app.doctor.check import Check
from risexp.app.doctor.study_case import StableCheck, StudyCase
from risexp.errors import CheckpointDamaged, RisexpError
from risexp.hpo.store.leases import HANGING, USED_UP
from risexp.runs.folder import RunFolder
from risexp.space.spec import SCORE
from risexp.training.checkpoint_manifest import committed, read_manifest, unpacked

_BEST: Final = f"best/{SCORE}"


def kept_checks(twice: StableCheck) -> Iterator[Check]:
    """Folders, values and checkpoints of trials that have come to their end."""
    case = twice.first
    count = len(case.facts.folders)
    if case.damaged:
        advice = "put a copy back; its trial cannot be compared"
        yield twice.check("journals", lambda each: [*each.damaged], "", advice)
    sound = f"{count} folders say what became of their trials"
    advice = "put a copy of it back; until then the trial cannot be compared, nor its run closed"
    yield twice.check("folders", _folders, sound, advice)
    advice = "the journal has what was trained; do not rank the trial by its study"
    yield twice.check("scores", _scores, "the value of a trial is its journal's best", advice)
    advice = "put a copy back; what cannot be had again is to be trained again"
    yield twice.check("checkpoints", _checkpoints, "every kept checkpoint is whole", advice)


def _folders(case: StudyCase) -> list[str]:
    """Trials whose folder is gone, or does not say how they ended."""
    facts = case.facts
    wrong = [
        f"trial {each.number} is {each.state}, and its folder does not say how it ended"
        for each in facts.record.trials
        if each.number in facts.untold and each.reason not in {USED_UP, HANGING}
    ]
    # Without any folder the study was searched in another home.
    wrong += [
        f"trial {each.number} is complete and has a run, and no folder of it can be read here"
        for each in facts.record.trials
        if each.state == "complete"
        and facts.folders
        and each.number not in facts.folders
        and case.found.of(each.number)
    ]
    return wrong


def _scores(case: StudyCase) -> list[str]:
    """Complete trials whose value is not the best score that was written down."""
    wrong = list[str]()
    for trial in case.facts.record.trials:
        journal = case.journals.get(trial.number)
        if trial.state != "complete" or journal is None:
            continue
        if any(each.event == "nondeterminism" for each in journal.notes):
            continue
        best = [row.values[_BEST] for row in journal.rows if _BEST in row.values]
        if best[-1:] != [trial.value]:
            said = f"{best[-1]} is the best" if best else "nothing is"
            wrong.append(f"trial {trial.number} has value {trial.value}, and by its journal {said}")
    return wrong


def _checkpoints(case: StudyCase) -> list[str]:
    """What is wrong with kept checkpoints of trials that nobody trains."""
    complete = {each.number for each in case.facts.record.trials if each.state == "complete"}
    return [
        f"trial {number}: {said}"
        for number, seen in case.facts.folders.items()
        if not seen.trained and number not in case.facts.living
        for said in _damaged(seen.run, needed=number in complete)
    ]


def _damaged(run: RunFolder, *, needed: bool) -> Iterator[str]:
    """What is wrong with the checkpoints of a run, in sentences; nothing is set aside."""
    places = [(epoch, folder) for folder in run.attempts() for epoch in committed(folder)]
    for epoch, folder in places:
        try:
            unpacked(folder, epoch)
        except RisexpError as error:
            yield str(error)
    if needed and not places:
        yield "it is complete, and no checkpoint of it is kept"
    if needed and places:
        yield from _without_best(places)


def _without_best(places: list[tuple[int, Path]]) -> Iterator[str]:
    newest = max(places)
    try:
        best = read_manifest(newest[1], newest[0]).best_epoch
    except CheckpointDamaged:
        return  # that was said
    if best is not None and best not in {epoch for epoch, _ in places}:
        yield f"the checkpoint of epoch {best}, its best, is missing"
