from pathlib import Path

from risexp.callbacks.confusion_recorder import ConfusionRecorder, LastConfusions
from risexp.runs.journal import Journal, read_journal
from risexp.tracking.upload_state import CONFUSION
from risexp.training.events import EpochEnded, Event
from tests.support.recorded_runs import followed, joint
from tests.support.uploads import confused


def test_each_epoch_has_the_confusion_of_its_own_validation(tmp_path: Path) -> None:
    journal, last = Journal(tmp_path / "journal.jsonl", "run-1"), LastConfusions()
    seen = iter((1, 3))

    def validate(event: Event) -> None:
        if isinstance(event, EpochEnded):
            last.see(confused(next(seen)))

    followed(joint(2), validate, ConfusionRecorder(journal, last))

    first, second = read_journal(journal.path).notes
    assert [(1, CONFUSION), (2, CONFUSION)] == [(each.step, each.event) for each in (first, second)]
    assert confused(1).whole.matrix.tolist() == first.details["matrix"]
    assert confused(3).whole.matrix.tolist() == second.details["matrix"]
    assert [0, 0, 0] == second.details["none"]
    bins = second.details["by_snr"]
    assert ["below 0", "0 to 10"] == [*bins]
    assert confused(3).by_snr["0 to 10"].matrix.tolist() == bins["0 to 10"]["matrix"]


def test_an_epoch_without_a_validation_has_none(tmp_path: Path) -> None:
    journal, last = Journal(tmp_path / "journal.jsonl", "run-1"), LastConfusions()
    last.see(confused(1))

    followed(joint(2), ConfusionRecorder(journal, last))

    assert [1] == [note.step for note in read_journal(journal.path).notes]
