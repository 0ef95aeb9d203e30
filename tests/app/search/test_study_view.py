"""A study on a screen of any width, and line by line in a log."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from risexp.app.search.study_view import Lines, StudyView, cells, line, live_table
from risexp.hpo.studies.table import StudyTable, TrialRow, TrialWord


def row(number: int, state: TrialWord, **more: object) -> TrialRow:
    plain = TrialRow(number, state, None, 1, 0, None, None, None, {}, None)
    return replace(plain, **more)  # type: ignore[arg-type]


ROWS = (
    row(0, "complete", reason="finished", epoch=6, k_loc=4.5, best=4.0, value=4.0),
    row(1, "complete", reason="early-stop", epoch=4, k_loc=3.5, best=3.25, value=3.25),
    row(2, "pruned", reason="out-of-memory", attempts=3),
    row(3, "failed", reason="ZeroDivisionError"),
    row(4, "running", epoch=2, k_loc=12.125, best=11.0),
    row(5, "waiting", attempts=0),
)
TABLE = StudyTable("toy", 6, None, ROWS)
NEW = StudyTable("toy", 2, None, (row(0, "waiting"), row(1, "waiting")))


def shown(table: StudyTable, width: int, remark: str = "") -> list[str]:
    """The live table on a terminal of so many columns."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(live_table(table, remark))
    return captured.get().splitlines()


def log(*tables: StudyTable) -> list[str]:
    """What is written to a pipe."""
    written = StringIO()
    with StudyView(Console(file=written, width=20)) as view:
        for table in tables:
            view.show(table, "5 min left")
    return written.getvalue().splitlines()


def test_a_table_says_what_each_trial_came_to() -> None:
    lines = [each.rstrip() for each in shown(TABLE, 120, "about 3 min left")]

    assert (
        "toy: 2 complete, 1 pruned, 1 failed, 1 running, 1 waiting of 6; about 3 min left"
        == lines[0]
    )
    assert lines[1].split() == [
        "trial", "state", "epoch", "k_loc", "lowest", "kept", "why", "attempt",
    ]  # fmt: skip
    assert ["0", "complete", "6", "4.500", "4.000", "4.000"] == lines[2].split()
    assert ["1", "complete", "4", "3.500", "3.250", "3.250", "early-stop", "best"] == (
        lines[3].split()
    )
    assert ["2", "pruned", "out-of-memory", "3"] == lines[4].split()
    assert ["3", "failed", "ZeroDivisionError"] == lines[5].split()
    assert ["4", "running", "2", "12.125", "11.000"] == lines[6].split()
    assert ["5", "waiting"] == lines[7].split()


@pytest.mark.parametrize("width", [80, 40, 20])
def test_a_table_is_never_wider_than_its_terminal(width: int) -> None:
    lines = shown(TABLE, width, "about 3 min left")

    assert width >= max(map(len, lines))


def test_eighty_columns_hold_a_whole_row() -> None:
    lines = shown(TABLE, 80)

    assert 8 == len(lines)
    assert "…" not in "".join(lines)


def test_a_study_of_which_nothing_is_done_is_shown() -> None:
    lines = [each.rstrip() for each in shown(NEW, 80)]

    assert "toy: 2 waiting of 2" == lines[0]
    assert ["1", "waiting"] == lines[-1].split()


def test_of_many_trials_those_that_run_and_the_best_are_shown() -> None:
    done = [row(number, "complete", value=float(100 - number), epoch=1) for number in range(50)]
    others = [row(50, "running"), row(51, "waiting"), row(52, "waiting")]
    table = StudyTable("toy", 53, None, (*done, *others))

    numbers = [int(each.split()[0]) for each in shown(table, 80)[2:]]

    assert [*range(21, 50), 50] == numbers


def test_the_trials_that_wait_are_shown_in_their_order() -> None:
    table = StudyTable("toy", 50, None, tuple(row(number, "waiting") for number in range(50)))

    numbers = [int(each.split()[0]) for each in shown(table, 80)[2:]]

    assert list(range(30)) == numbers


def test_a_log_says_each_thing_once() -> None:
    running = replace(NEW, trials=(row(0, "running"), row(1, "waiting")))
    epoch = row(0, "running", epoch=1, k_loc=5.0, best=5.0)
    told = replace(NEW, trials=(epoch, row(1, "waiting")))
    done = replace(epoch, state="complete", reason="finished", value=5.0)
    over = replace(NEW, trials=(done, row(1, "pruned", reason="chance")))

    assert [
        "trial   0  running",
        "trial   0  running   epoch   1  k_loc 5.000",
        "trial   0  complete  epoch   1  k_loc 5.000  kept 5.000",
        "trial   1  pruned    chance",
    ] == log(NEW, running, told, told, over, over)


def test_a_log_begins_with_what_has_happened() -> None:
    assert [line(each) for each in ROWS[:5]] == Lines().new(TABLE)


def test_trials_of_the_next_study_are_told_though_they_stand_as_those_before_them() -> None:
    lines = Lines()
    lines.new(TABLE)

    assert [line(each) for each in ROWS[:5]] == lines.new(replace(TABLE, name="toy-next"))


@pytest.mark.parametrize("each", ROWS)
def test_a_line_has_no_end_of_blanks(each: TrialRow) -> None:
    assert line(each).rstrip() == line(each)


def test_a_sentence_stays_as_it_is() -> None:
    written = StringIO()
    sentence = "worker 0 died: see [/tmp/a folder]/worker-0.log"
    with StudyView(Console(file=written, width=20)) as view:
        view.say(sentence)

    assert f"{sentence}\n" == written.getvalue()


def test_a_terminal_is_left_as_it_was() -> None:
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True)
    with console.capture() as captured, StudyView(console) as view:
        view.show(TABLE)
        view.say("worker 0 died")
        view.show(TABLE)

    text = captured.get()
    assert "worker 0 died" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_why_is_told_only_where_it_adds_something() -> None:
    assert "" == cells(row(0, "pruned", reason="pruned"))[6]
    assert "chance" == cells(row(0, "pruned", reason="chance"))[6]
