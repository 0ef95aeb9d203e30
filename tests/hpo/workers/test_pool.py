"""A pool of small programs: started, restarted, signalled, killed, and ended with the pool."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from risexp import __version__
from risexp.callbacks.watchdog import HUNG
from risexp.hpo.workers.pool import WorkerDeath, WorkerPool, WorkerSpec, end_with_parent
from tests.support.worker_processes import start, until

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
    """A folder for logs that does not exist yet."""
    return tmp_path / "studies" / "toy"


def spec(folder: Path, program: str, *words: str, index: int = 0, **environment: str) -> WorkerSpec:
    return WorkerSpec(
        index, [program, *words], environment, folder / f"worker-{index}.log", program=PYTHON
    )


@contextmanager
def at_work(specs: Sequence[WorkerSpec]) -> Iterator[WorkerPool]:
    """A running pool, all of whose workers are killed in the end."""
    pool = WorkerPool(specs)
    pool.start()
    try:
        yield pool
    finally:
        pool.end(0.0)


def said(worker: WorkerSpec) -> list[str]:
    return worker.log.read_text("utf-8").splitlines()


def deaths(pool: WorkerPool) -> list[WorkerDeath]:
    """The deaths of the next look that reports any."""
    seen: list[WorkerDeath] = []

    def any_seen() -> bool:
        seen.extend(pool.look())
        return bool(seen)

    until(any_seen)
    return seen


def all_deaths(pool: WorkerPool) -> list[WorkerDeath]:
    """The deaths until no worker is left."""
    seen: list[WorkerDeath] = []

    def all_ended() -> bool:
        seen.extend(pool.look())
        return not pool.pids

    until(all_ended)
    return seen


def test_a_worker_is_this_program(folder: Path) -> None:
    version = WorkerSpec(0, ["--version"], {}, folder / "worker-0.log")
    with at_work([version]) as pool:
        assert [] == all_deaths(pool)
        assert not pool.gave_up

    assert [__version__] == said(version)


def test_workers_have_their_own_environment_and_logs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED", "shared")
    program = "import os; print(os.environ['SHARED'], os.environ['OWN'])"
    specs = [spec(folder, program, index=index, OWN=str(index)) for index in range(2)]
    with at_work(specs) as pool:
        assert [] == all_deaths(pool)

    assert [["shared 0"], ["shared 1"]] == [said(each) for each in specs]
    assert 0o600 == specs[0].log.stat().st_mode & 0o777


def test_a_worker_that_ends_as_it_should_is_no_death_and_is_not_restarted(folder: Path) -> None:
    programs = [f"raise SystemExit({code})" for code in (0, 75, 130)]
    specs = [spec(folder, program, index=index) for index, program in enumerate(programs)]
    with at_work(specs) as pool:
        assert [] == all_deaths(pool)
        pool.restart_dead()

        assert () == pool.pids
        assert not pool.gave_up


def test_a_death_is_reported_once_and_the_worker_restarted(folder: Path) -> None:
    killed = spec(folder, WAITS)
    with at_work([killed, spec(folder, WAITS, index=1)]) as pool:
        victim, other = pool.pids
        assert os.getpgid(other) == other, "the terminal sends it no signal"
        os.kill(victim, signal.SIGTERM)

        (death,) = deaths(pool)

        assert [other] == list(pool.pids)
        assert [] == pool.look()
        assert WorkerDeath(0, victim, -signal.SIGTERM, killed.log) == death
        assert f"worker 0 (process {victim}) died of SIGTERM: see {killed.log}" == death.sentence()

        pool.restart_dead()

        heir, still = pool.pids
        assert (other, True) == (still, heir != victim)
        until(lambda: said(killed)[-1:] == ["here"])


def test_a_death_names_its_exit_code_or_says_that_the_worker_hung(folder: Path) -> None:
    codes = (2, HUNG)
    programs = [f"raise SystemExit({code})" for code in codes]
    specs = [spec(folder, program, index=index) for index, program in enumerate(programs)]
    with at_work(specs) as pool:
        failed, hung = sorted(all_deaths(pool), key=lambda death: death.index)
        pool.restart_dead()

        assert 2 == len(pool.pids)

    assert "died of exit code 2" in failed.sentence()
    assert (False, True) == (failed.hung, hung.hung)
    assert f"(process {hung.pid}) hung and ended itself: see " in hung.sentence()


def test_a_stopped_worker_can_be_killed(folder: Path) -> None:
    specs = [spec(folder, WAITS, index=index) for index in range(2)]
    with at_work(specs) as pool:
        victim, other = pool.pids
        os.kill(victim, signal.SIGSTOP)

        pool.kill(victim)

        assert [-signal.SIGKILL] == [each.code for each in deaths(pool)]
        assert (other,) == pool.pids


def test_a_worker_that_always_dies_is_given_up_after_three_deaths(folder: Path) -> None:
    """The pool itself has not given up if another worker ended as it should."""
    for others in ([], [spec(folder, "pass", index=1)]):
        crashing = spec(folder / str(len(others)), "print('here'); raise SystemExit(1)")
        with at_work([crashing, *others]) as pool:
            for _ in range(3):
                assert 1 == len(all_deaths(pool))
                pool.restart_dead()

            assert () == pool.pids
            assert pool.gave_up == (not others)
        assert ["here"] * 3 == said(crashing)


def test_deaths_before_a_finished_trial_do_not_count(folder: Path) -> None:
    with at_work([spec(folder, "raise SystemExit(1)")]) as pool:
        for _ in range(4):
            deaths(pool)
            pool.progressed()
            pool.restart_dead()

        assert 1 == len(pool.pids)


def test_terminated_workers_are_no_deaths_and_are_not_restarted(folder: Path) -> None:
    """Even if one has not installed its signal handler yet."""
    specs = [spec(folder, POLITE), spec(folder, WAITS, index=1)]
    with at_work(specs) as pool:
        until(lambda: all(said(each) for each in specs))

        pool.terminate()

        assert [] == all_deaths(pool)
        pool.restart_dead()
        assert () == pool.pids


def test_a_worker_that_does_not_end_is_killed_after_the_patience(folder: Path) -> None:
    stubborn = spec(folder, STUBBORN)
    with at_work([stubborn]) as pool:
        until(lambda: bool(said(stubborn)))
        pool.terminate()
        until(lambda: said(stubborn) == ["here", "asked"])

        pool.end(0.0)

        assert [-signal.SIGKILL] == [each.code for each in pool.look()]
        assert () == pool.pids


def test_the_end_of_the_pipe_ends_the_worker() -> None:
    reading, writing = os.pipe()
    ended: list[str] = []
    watcher = end_with_parent(reading, lambda: ended.append("asked"))
    os.write(writing, b"what is written says nothing")
    assert watcher.is_alive()

    os.close(writing)
    watcher.join(60.0)
    os.close(reading)

    assert ["asked"] == ended


def lead(folder: Path) -> None:
    """A pool of two workers that end with their standard input."""
    program = "import sys; print('here'); sys.stdin.read(); print('ended')"
    WorkerPool([spec(folder, program, index=index) for index in range(2)]).start()
    signal.pause()


@pytest.mark.fault("F3")
def test_workers_end_with_a_pool_that_is_killed(folder: Path) -> None:
    logs = [folder / f"worker-{index}.log" for index in range(2)]
    leader = start(lead, folder)
    until(lambda: all(each.exists() and each.read_text("utf-8") for each in logs))

    leader.kill()

    until(lambda: all(each.read_text("utf-8").endswith("ended\n") for each in logs))
