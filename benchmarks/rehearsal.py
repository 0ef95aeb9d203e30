"""Rehearse a deployment of `risexp deploy init` without a container engine.

Every service of its compose.yaml runs as a process with the service's command, environment, secrets
and health check, from the wheel that the image would hold. A search and two workers complete a
small study; one worker is stopped during a trial. Then requests that must be refused are sent, and
arguments, environments, logs, files and databases are searched for each secret. In the end every
service is stopped. Images are not built, and networks, limits and restarts need the engine: they
are not rehearsed.

    python benchmarks/rehearsal.py [--workers 2] [--keep] [--json]
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from confines import why_not
from rehearsal_checks import (
    HOST,
    Row,
    Watch,
    connected,
    leaks,
    pages,
    plant,
    recorded,
    roles,
    secrets_of,
)
from stage import Actor, Ended, Stage

STUDY: Final = "rehearsal"
RELEASED: Final = 75
NOT_REHEARSED: Final = 77
SECRETS: Final = 8
"""Number of files with a secret."""
_TIMEOUT_S: Final = 1200.0
_LOOK_S: Final = 0.5


def main() -> None:
    """Rehearse, and print a table or JSON.

    Exit code 4: a result was not as expected. Exit code 77: this machine cannot rehearse.
    """
    options = _arguments()
    if (reason := why_not()) is not None:
        print(f"not rehearsed: {reason}", file=sys.stderr)
        raise SystemExit(NOT_REHEARSED)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Not in /tmp, which every service replaces by its own.
    root = Path(tempfile.mkdtemp(prefix="risexp-rehearsal-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        rows = rehearse(prepared(root), options.workers)
    finally:
        if options.keep:
            print(f"kept: {root}", file=sys.stderr)
        else:
            shutil.rmtree(root)
    _print(rows, as_json=options.json)
    raise SystemExit(0 if all(row.sound for row in rows) else 4)


def prepared(root: Path) -> Stage:
    """Write a deployment with the command itself, and install its wheel."""
    folder = root / "deployment"
    _run("risexp", "deploy", "init", str(folder), "--hosts", HOST)
    (wheel,) = (folder / "image").glob("*.whl")
    alone = ("--no-deps", "--no-index", "--target", str(root / "site"))
    _run("pip", "install", "--quiet", "--disable-pip-version-check", *alone, str(wheel))
    return Stage.over(folder, root, {"RISEXP_SPACE": "smoke", "RISEXP_STUDY": STUDY})


def rehearse(stage: Stage, workers: int) -> list[Row]:
    """Run all acts."""
    try:
        with Watch(stage, secrets_of(stage.folder)) as watch:
            return [*_acts(stage, watch, workers)]
    finally:
        stage.end()


def _acts(stage: Stage, watch: Watch, workers: int) -> Iterator[Row]:
    serving = [stage.start("postgres")]
    yield _well(stage, serving[-1])
    serving.append(stage.start("mlflow"))
    yield _well(stage, serving[-1])
    for again in ("", " again"):
        code = stage.run("init", *stage.services["init"]["command"])
        yield Row(f"init: makes the stores{again}", "exit 0", f"exit {code}")
    serving.append(stage.start("dashboard"))
    yield _well(stage, serving[-1])
    yield from pages(stage)
    yield from searched(stage, workers)
    yield from roles(stage)
    yield Row("MLflow: runs recorded", f"{_trials(stage) + 1}", f"{recorded(stage)}")
    code = stage.run("worker", "risexp", "doctor", "--study", STUDY)
    yield Row("the doctor, of the study", "exit 0", f"exit {code}")
    yield from _secrets(stage, watch)
    for actor in reversed(serving):
        yield _stopped(stage, actor, 0)
    yield Row("processes after the end", "0", f"{len([*stage.processes()])}")


def searched(stage: Stage, workers: int) -> Iterator[Row]:
    """Search a study to its end, with a worker that is stopped during a trial and restarted."""
    early = _left(stage.start("worker"))
    yield Row("worker: before its study", "exit 2", f"exit {early}")
    search = stage.start("search")
    yield _well(stage, search)
    started = [stage.start("worker") for _ in range(workers)]
    first = started[0].process.pid
    began = f"SELECT count(*) FROM risexp_attempts WHERE pid = {first} AND parameters IS NOT NULL"  # noqa: S608 - a number
    over = search.process.poll
    _await(lambda: _count(stage, began) > 0 or over() is not None, "a worker has begun a trial")
    yield Row("worker: its health check", "healthy", _word(stage.stays_well("worker")))
    yield _stopped(stage, started[0], RELEASED)
    started[0] = stage.start("worker")
    yield Row("search: to the end of the study", "exit 0", f"exit {_left(search)}")
    for actor in started:
        yield Row("worker: after the study", "exit 0", f"exit {_left(actor)}")
    done = _count(stage, "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')")
    yield Row("trials of the study that are done", f"{_trials(stage)}", f"{done}")
    query = "SELECT count(DISTINCT pid) FROM risexp_attempts WHERE ended = 'finished'"
    many = "more than one" if _count(stage, query) > 1 else "one"
    yield Row("processes that finished trials", "more than one", many)


def _secrets(stage: Stage, watch: Watch) -> Iterator[Row]:
    plant(stage, watch)
    leaked, planted = leaks(stage, watch)
    yield Row("secrets to search for", f"{SECRETS}", f"{len(watch.secrets) - 1}")
    yield Row("a planted secret is found in", ", ".join(leaked), ", ".join(planted))
    for place, names in leaked.items():
        looks = f", {watch.looks} times" if place in {"arguments", "environments"} else ""
        yield Row(f"secrets in {place}{looks}", "none", ", ".join(names) or "none")


def _well(stage: Stage, actor: Actor) -> Row:
    stage.await_well(actor)
    return Row(f"{actor.service}: its health check", "healthy", "healthy")


def _stopped(stage: Stage, actor: Actor, code: int) -> Row:
    ended: Ended = stage.stop(actor)
    late = "in time" if ended.in_time else "killed"
    what = f"{actor.service}: {ended.signal} ({ended.seconds:.1f} of {ended.grace:.0f} s)"
    return Row(what, f"exit {code}, in time", f"exit {ended.code}, {late}")


def _left(actor: Actor) -> int:
    """Exit code of a process that ends by itself."""
    return actor.process.wait(_TIMEOUT_S)


def _trials(stage: Stage) -> int:
    return _count(stage, "SELECT count(*) FROM trials")


def _count(stage: Stage, question: str) -> int:
    with connected(stage, "watcher", "studies") as connection:
        row: Any = connection.execute(question.encode()).fetchone()
    return int(row[0])


def _await(happened: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + _TIMEOUT_S
    while not happened():
        if time.monotonic() > limit:
            raise SystemExit(f"after {_TIMEOUT_S:.0f} s it is not true that {what}")
        time.sleep(_LOOK_S)


def _word(well: bool) -> str:
    return "healthy" if well else "unhealthy"


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own interpreter
    if done.returncode:
        reason = done.stderr[-2000:]
        raise SystemExit(
            f"{module} {arguments[0]} ended with exit code {done.returncode}: {reason}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the folders behind")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _print(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**asdict(row), "sound": row.sound} for row in rows], indent=2))
        return
    table = [("", "injected", "expected", "seen")]
    table += [("ok" if row.sound else "BAD", row.injected, row.expected, row.seen) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"{sum(row.sound for row in rows)} of {len(rows)} as expected")


if __name__ == "__main__":
    main()
