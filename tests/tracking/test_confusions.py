from pathlib import Path

from risexp.tracking.confusions import Confusions, LastConfusion
from risexp.tracking.journal import Journal
from risexp.tracking.lines import read_journal
from risexp.tracking.spool import CONFUSION
from risexp.training.events import EpochEnded, Event
from tests.records import confused
from tests.runs_followed import followed, joint


def test_each_epoch_has_the_confusion_of_its_own_validation(tmp_path: Path) -> None:
    journal, last = Journal(tmp_path / "journal.jsonl", "run-1"), LastConfusion()
    seen = iter((1, 3))

    def validate(event: Event) -> None:
        if isinstance(event, EpochEnded):
            last.see(confused(next(seen)))

    followed(joint(2), validate, Confusions(journal, last))

    first, second = read_journal(journal.path).notes
    assert [(1, CONFUSION), (2, CONFUSION)] == [(each.step, each.event) for each in (first, second)]
    assert confused(1).matrix.tolist() == first.details["matrix"]
    assert confused(3).matrix.tolist() == second.details["matrix"]
    assert [0, 0, 0] == second.details["none"]


def test_an_epoch_without_a_validation_has_none(tmp_path: Path) -> None:
    journal, last = Journal(tmp_path / "journal.jsonl", "run-1"), LastConfusion()
    last.see(confused(1))

    followed(joint(2), Confusions(journal, last))

    assert [1] == [note.step for note in read_journal(journal.path).notes]
