"""A crew of small programs: started, started again, asked, killed, and ended with their crew."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from risexp import __version__
from risexp.callbacks.watchdog import HUNG
from risexp.hpo.workers.pool import WorkerDeath, WorkerPool, WorkerSpec, end_with_parent
from tests.support.worker_processes import until

PYTHON = (sys.executable, "-u", "-c")
WAITS = "import signal; print('here'); signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print("asked"))
print("here")
while True:
    signal.pause()
"""
POLITE = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("here")
signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of logs, not made yet."""
    return tmp_path / "studies" / "toy"


def post(folder: Path, program: str, *words: str, index: int = 0, **environment: str) -> WorkerSpec:
    return WorkerSpec(
        index, [program, *words], environment, folder / f"worker-{index}.log", program=PYTHON
    )


@contextmanager
def at_work(posts: Sequence[WorkerSpec]) -> Iterator[WorkerPool]:
    """A crew, of whom nobody is left."""
    crew = WorkerPool(posts)
    crew.start()
    try:
        yield crew
    finally:
        crew.end(0.0)


def said(post: WorkerSpec) -> list[str]:
    return post.log.read_text("utf-8").splitlines()


def deaths(crew: WorkerPool) -> list[WorkerDeath]:
    """Those of the next look that sees any."""
    found: list[WorkerDeath] = []

    def seen() -> bool:
        found.extend(crew.look())
        return bool(found)

    until(seen)
    return found


def all_deaths(crew: WorkerPool) -> list[WorkerDeath]:
    """Those that are seen until everybody is away."""
    found: list[WorkerDeath] = []

    def away() -> bool:
        found.extend(crew.look())
        return not crew.pids

    until(away)
    return found


def test_a_worker_is_this_program(folder: Path) -> None:
    version = WorkerSpec(0, ["--version"], {}, folder / "worker-0.log")
    with at_work([version]) as crew:
        assert [] == all_deaths(crew)
        assert not crew.gave_up

    assert [__version__] == said(version)


def test_workers_have_their_own_environment_and_logs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED", "everybody")
    program = "import os; print(os.environ['SHARED'], os.environ['OWN'])"
    posts = [post(folder, program, index=index, OWN=str(index)) for index in range(2)]
    with at_work(posts) as crew:
        assert [] == all_deaths(crew)

    assert [["everybody 0"], ["everybody 1"]] == [said(each) for each in posts]
    assert 0o600 == posts[0].log.stat().st_mode & 0o777


@pytest.mark.parametrize("code", [0, 75, 130])
def test_whoever_leaves_by_itself_is_no_death_and_stays_away(folder: Path, code: int) -> None:
    with at_work([post(folder, f"raise SystemExit({code})")]) as crew:
        assert [] == all_deaths(crew)
        crew.restart_dead()

        assert () == crew.pids
        assert not crew.gave_up


def test_the_dead_are_told_once_and_started_again(folder: Path) -> None:
    killed = post(folder, WAITS)
    with at_work([killed, post(folder, WAITS, index=1)]) as crew:
        victim, other = crew.pids
        os.kill(victim, signal.SIGKILL)

        (death,) = deaths(crew)

        assert [other] == list(crew.pids)
        assert [] == crew.look()
        assert WorkerDeath(0, victim, -signal.SIGKILL, killed.log) == death
        assert f"worker 0 (process {victim}) died of SIGKILL: see {killed.log}" == death.sentence()

        crew.restart_dead()

        heir, still = crew.pids
        assert (other, True) == (still, heir != victim)
        until(lambda: said(killed)[-1:] == ["here"])


def test_an_exit_code_is_said(folder: Path) -> None:
    with at_work([post(folder, "raise SystemExit(2)")]) as crew:
        (death,) = deaths(crew)

    assert "died of exit code 2" in death.sentence()


def test_whoever_hung_and_ended_itself_is_said_to_have(folder: Path) -> None:
    with at_work([post(folder, f"raise SystemExit({HUNG})")]) as crew:
        (death,) = deaths(crew)
        crew.restart_dead()

        assert 1 == len(crew.pids)

    assert death.hung
    assert f"(process {death.pid}) hung and ended itself: see " in death.sentence()


def test_one_of_them_is_killed_though_it_is_stopped(folder: Path) -> None:
    posts = [post(folder, WAITS, index=index) for index in range(2)]
    with at_work(posts) as crew:
        victim, other = crew.pids
        os.kill(victim, signal.SIGSTOP)

        crew.kill(victim)

        assert [-signal.SIGKILL] == [each.code for each in deaths(crew)]
        assert (other,) == crew.pids


def test_whoever_always_dies_is_given_up_after_three_deaths(folder: Path) -> None:
    crashing = post(folder, "print('here'); raise SystemExit(1)")
    with at_work([crashing]) as crew:
        for _ in range(3):
            assert not crew.gave_up or crew.pids == ()
            deaths(crew)
            crew.restart_dead()

        assert () == crew.pids
        assert crew.gave_up

    assert ["here"] * 3 == said(crashing)


def test_deaths_before_a_finished_trial_do_not_count(folder: Path) -> None:
    with at_work([post(folder, "raise SystemExit(1)")]) as crew:
        for _ in range(4):
            deaths(crew)
            crew.progressed()
            crew.restart_dead()

        assert 1 == len(crew.pids)


def test_a_crew_of_which_one_has_left_has_not_given_up(folder: Path) -> None:
    posts = [post(folder, "raise SystemExit(1)"), post(folder, "pass", index=1)]
    with at_work(posts) as crew:
        for _ in range(3):
            assert 1 == len(all_deaths(crew))
            crew.restart_dead()

        assert () == crew.pids
        assert not crew.gave_up


def test_everybody_is_asked_and_nobody_started_again(folder: Path) -> None:
    posts = [post(folder, POLITE, index=index) for index in range(2)]
    with at_work(posts) as crew:
        until(lambda: all(said(each) for each in posts))

        crew.terminate()

        assert [] == all_deaths(crew)
        crew.restart_dead()
        assert () == crew.pids


def test_whoever_is_asked_before_it_can_listen_is_no_death(folder: Path) -> None:
    waiting = post(folder, WAITS)
    with at_work([waiting]) as crew:
        until(lambda: bool(said(waiting)))

        crew.terminate()

        assert [] == all_deaths(crew)


def test_somebody_else_s_signal_is_a_death(folder: Path) -> None:
    waiting = post(folder, WAITS)
    with at_work([waiting]) as crew:
        until(lambda: bool(said(waiting)))

        os.kill(crew.pids[0], signal.SIGTERM)

        assert "SIGTERM" in deaths(crew)[0].sentence()


def test_whoever_does_not_end_is_killed_once_patience_is_over(folder: Path) -> None:
    stubborn = post(folder, STUBBORN)
    with at_work([stubborn]) as crew:
        until(lambda: bool(said(stubborn)))
        crew.terminate()
        until(lambda: said(stubborn) == ["here", "asked"])

        crew.end(0.0)

        assert [-signal.SIGKILL] == [each.code for each in crew.look()]
        assert () == crew.pids


def test_a_worker_hears_no_signal_of_its_crew_s_terminal(folder: Path) -> None:
    with at_work([post(folder, WAITS)]) as crew:
        assert os.getpgid(crew.pids[0]) == crew.pids[0]


def test_the_end_of_the_pipe_asks_the_worker_to_end() -> None:
    reading, writing = os.pipe()
    ended: list[str] = []
    watcher = end_with_parent(reading, lambda: ended.append("asked"))
    os.write(writing, b"what is written says nothing")
    assert watcher.is_alive()

    os.close(writing)
    watcher.join(30.0)
    os.close(reading)

    assert ["asked"] == ended


def test_workers_end_with_a_crew_that_is_killed(folder: Path) -> None:
    worker = """
import os, signal, sys
from risexp.hpo.workers.pool import end_with_parent
signal.signal(signal.SIGTERM, lambda *_: (print("ended"), sys.exit(75)))
end_with_parent(sys.stdin.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
print(os.getpid())
signal.pause()
"""
    leader = f"""
import signal, sys
from pathlib import Path
from risexp.hpo.workers.pool import WorkerPool, WorkerSpec
logs = [Path({str(folder)!r}) / f"worker-{{index}}.log" for index in range(2)]
program = (sys.executable, "-u", "-c")
WorkerPool([WorkerSpec(0, [{worker!r}], {{}}, log, program=program) for log in logs]).start()
signal.pause()
"""
    logs = [folder / f"worker-{index}.log" for index in range(2)]
    with subprocess.Popen([*PYTHON, leader]) as process:  # noqa: S603 - our own words
        try:
            until(lambda: all(each.exists() and each.read_text("utf-8") for each in logs))
        finally:
            process.kill()

    until(lambda: all(each.read_text("utf-8").endswith("ended\n") for each in logs))
