"""Studies for people: a live table of any width, and line by line in a log."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from risexp.app.search.studies import StudyView, line, live_table
from risexp.hpo.studies.study import TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow


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
    return [text.rstrip() for text in captured.get().splitlines()]


def log(*tables: StudyTable, sentence: str | None = None) -> list[str]:
    """The lines that are written to a pipe."""
    written = StringIO()
    with StudyView(Console(file=written, width=20)) as view:
        for table in tables:
            view.show(table, "5 min left")
        if sentence is not None:
            view.say(sentence)
    return written.getvalue().splitlines()


def test_a_table_shows_the_state_of_each_trial() -> None:
    lines = shown(TABLE, 120, "about 3 min left")

    assert (
        "toy: 2 complete, 1 pruned, 1 failed, 1 running, 1 waiting of 6; about 3 min left"
        == lines[0]
    )
    assert [
        "trial state epoch k_loc lowest kept why attempt",
        "0 complete 6 4.500 4.000 4.000",
        "1 complete 4 3.500 3.250 3.250 early-stop best",
        "2 pruned out-of-memory 3",
        "3 failed ZeroDivisionError",
        "4 running 2 12.125 11.000",
        "5 waiting",
    ] == [" ".join(text.split()) for text in lines[1:]]
    assert ["toy: 2 waiting of 2", "    1  waiting"] == [shown(NEW, 80)[0], shown(NEW, 80)[-1]]


def test_a_table_is_never_wider_than_its_terminal() -> None:
    for width in (80, 40, 20):
        assert width >= max(map(len, shown(TABLE, width, "about 3 min left")))
    assert 8 == len(shown(TABLE, 80))
    assert "…" not in "".join(shown(TABLE, 80))


def test_of_many_trials_the_running_and_the_best_are_shown_or_the_next() -> None:
    done = [row(number, "complete", value=float(100 - number), epoch=1) for number in range(50)]
    others = [row(50, "running"), row(51, "waiting"), row(52, "waiting")]
    some_done = StudyTable("toy", 53, None, (*done, *others))
    none_done = StudyTable("toy", 50, None, tuple(row(number, "waiting") for number in range(50)))

    for table, expected in ((some_done, [*range(21, 50), 50]), (none_done, list(range(30)))):
        assert expected == [int(text.split()[0]) for text in shown(table, 80)[2:]]


def test_a_log_has_each_change_once() -> None:
    running = replace(NEW, trials=(row(0, "running"), row(1, "waiting")))
    epoch = row(0, "running", epoch=1, k_loc=5.0, best=5.0)
    reported = replace(NEW, trials=(epoch, row(1, "waiting")))
    done = replace(epoch, state="complete", reason="finished", value=5.0)
    over = replace(NEW, trials=(done, row(1, "pruned", reason="pruned")))

    assert [
        "trial   0  running",
        "trial   0  running   epoch   1  k_loc 5.000",
        "trial   0  complete  epoch   1  k_loc 5.000  kept 5.000",
        "trial   1  pruned",
        "worker 0 died: see [/tmp/a folder]/worker-0.log",
    ] == log(
        *(NEW, running, reported, reported, over, over),
        sentence="worker 0 died: see [/tmp/a folder]/worker-0.log",
    )


def test_a_log_starts_with_what_has_happened_in_each_study() -> None:
    lines = [line(each) for each in ROWS[:5]]

    assert lines * 2 == log(TABLE, replace(TABLE, name="toy-next"))
    assert [text.rstrip() for text in lines] == lines


def test_a_terminal_is_restored() -> None:
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True)
    with console.capture() as captured, StudyView(console) as view:
        view.show(TABLE)
        view.say("worker 0 died")
        view.show(TABLE)

    text = captured.get()
    assert "worker 0 died" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_a_sentence_cannot_command_the_terminal() -> None:
    assert ["the store says \\x1b[2J"] == log(sentence="the store says \x1b[2J")
