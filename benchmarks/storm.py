"""The same kills on risexp, on stock Optuna, and on Ray Tune with OptunaSearch, side by side.

Every system does the same trials: epochs of a fixed time, a checkpoint and a report after each.
From the first epoch on, a random busy worker is killed (SIGKILL) at a fixed interval, a fixed
number of times, but no trial more than twice. What was lost, stuck or done twice is read from each
system's own store; times come from notes of the workers. `restart` restarts PostgreSQL once amid
the kills; `driver` kills the driver once, leaves the search alone for ten seconds, and continues it
by hand.

    python benchmarks/storm.py [--only SYSTEM...] [--repeats 5] [--first-seed 1] [--trials 40]
        [--workers 4] [--epochs 8] [--epoch-s 0.2] [--kills 16] [--every 1.6] [--limit 180]
        [--ray-python PATH] [--results FILE] [--table]

Rows are appended to `--results`, so that parts can be run one after another; the table is made of
the whole file. Ray is needed in an environment of its own: `pip install "ray[tune]" optuna` in a
new venv, named by its Python.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from peers.accounts import READERS, Accounts, count
from peers.killer import Command, Fire, Schedule, figures
from peers.toy import Settings

if TYPE_CHECKING:
    from tests.support.postgres import Server

ROOT: Final = Path(__file__).parents[1]
SYSTEMS: Final[Mapping[str, tuple[str, str, str]]] = {
    "risexp-sqlite": ("risexp", "sqlite", ""),
    "risexp-postgresql": ("risexp", "postgresql", ""),
    "optuna-sqlite": ("optuna", "sqlite", ""),
    "optuna-postgresql": ("optuna", "postgresql", ""),
    "optuna-journal": ("journal", "journal", ""),
    "ray": ("ray", "", ""),
    "risexp-postgresql-restart": ("risexp", "postgresql", "restart"),
    "optuna-postgresql-restart": ("optuna", "postgresql", "restart"),
    "risexp-sqlite-driver": ("risexp", "sqlite", "driver"),
    "ray-driver": ("ray", "", "driver"),
}
"""By name: who searches, on what store, and what else breaks once."""
COLUMNS: Final = {
    "kills": "kills",
    "records": "records",
    "complete": "complete",
    "lost": "lost",
    "unfinished": "begun, never complete",
    "stuck": "left running",
    "stuck_cleaned": "after a clean-up",
    "twice": "complete twice",
    "over": "over budget",
    "crashes": "crashed by themselves",
    "epochs": "epochs trained per epoch needed",
    "gap_p50_s": "gap p50 s",
    "gap_p95_s": "gap p95 s",
    "never": "killed, never again",
    "wall_s": "wall s",
    "alone": "ended without the driver",
    "again_s": "by hand, until the next attempt s",
}
NO_RAY: Final = (
    'skipped: no Ray. Make a venv, `pip install "ray[tune]" optuna` in it, and give '
    "--ray-python VENV/bin/python"
)


def main() -> None:
    """Run every chosen system, and print the table of all results."""
    options = _arguments()
    if not options.table:
        with _server() as server:
            for seed in range(options.first_seed, options.first_seed + options.repeats):
                for name in options.only:
                    _append(options, name, seed, server)
    rows = [json.loads(line) for line in options.results.read_text("utf-8").splitlines()]
    print(table_of(rows))


def search_under_fire(
    name: str, seed: int, options: argparse.Namespace, server: "Callable[[], Server]"
) -> dict[str, Any]:
    """One search of one system; its row."""
    system, store, disturbance = SYSTEMS[name]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-"))
        url = _url(system, store, folder, f"{name}-{seed}", server)
        sizes = (options.trials, options.workers, options.epochs, options.epoch_s)
        settings = Settings(folder, url, *sizes)
        restart = disturbance == "restart"
        schedule = Schedule(
            every_s=options.every,
            most=options.kills,
            seed=seed,
            limit_s=options.limit,
            halfway=(lambda: server().control("restart", "-m", "immediate")) if restart else None,
            driver=disturbance == "driver",
        )
        command = _command(system, settings, options.ray_python)
        fire = Fire(settings, command, schedule)
        fire.run()
        accounts = count(READERS[system](settings), settings.trials)
        row = {"system": name, "seed": seed, "timed_out": fire.timed_out, **asdict(accounts)}
        row["stuck_cleaned"] = _cleaned(system, settings, command, accounts)
        row |= asdict(figures(fire, settings.trace.lines()))
        if options.keep is not None:
            Path(folder).rename(options.keep / f"{name}-{seed}")
            Path(folder).mkdir()
        return row


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The median of every figure of every system, with the smallest and the largest value."""
    lines = [["system", "repeats", *COLUMNS.values()]]
    for name in SYSTEMS:
        own = [row for row in rows if row["system"] == name]
        if own:
            lines.append([name, str(len(own)), *(_cell(own, key) for key in COLUMNS)])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """Median (smallest to largest), and of how many repeats if a value is missing in some."""
    values = sorted(row[key] for row in rows if row.get(key) is not None)
    if not values:
        return ""
    digits = 0 if all(isinstance(value, int) for value in values) else 2
    low, middle, high = (
        f"{value:.{digits}f}" for value in (values[0], statistics.median(values), values[-1])
    )
    part = "" if len(values) == len(rows) else f", {len(values)} of {len(rows)}"
    return middle + part if low == high else f"{middle} ({low} to {high}{part})"


def _append(
    options: argparse.Namespace, name: str, seed: int, server: "Callable[[], Server]"
) -> None:
    if SYSTEMS[name][0] == "ray" and options.ray_python is None:
        print(f"{name}: {NO_RAY}")
        return
    row = search_under_fire(name, seed, options, server)
    print(json.dumps(row), flush=True)
    with options.results.open("a", encoding="utf-8") as results:
        results.write(f"{json.dumps(row)}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--epoch-s", type=float, default=0.2)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--every", type=float, default=1.6, help="seconds between two kills")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds for one search")
    parser.add_argument("--ray-python", type=Path, help="a Python with ray[tune] and optuna")
    parser.add_argument("--results", type=Path, default=Path("storm.jsonl"))
    parser.add_argument("--keep", type=Path, help="an existing folder that keeps what runs leave")
    parser.add_argument(
        "--table", action="store_true", help="print the results so far, run nothing"
    )
    return parser.parse_args()


def _url(
    system: str, store: str, folder: str, database: str, server: "Callable[[], Server]"
) -> str:
    """Where a system keeps its study: risexp's embedded store is in its home."""
    match store:
        case "postgresql":
            return server().create(database)
        case "sqlite":
            return "" if system == "risexp" else f"sqlite:///{folder}/optuna.db"
        case "journal":
            return f"journal://{folder}/optuna.log"
    return f"{folder}/ray"


def _command(system: str, settings: Settings, ray_python: Path | None) -> Command:
    module = {"journal": "optuna"}.get(system, system)
    python = str(ray_python) if system == "ray" else sys.executable
    call = f"from peers.{module}_search import main; main()"
    start = [python, "-c", call, settings.text()]
    again = [*start, "--restore"] if system == "ray" else start
    own = {"PYTHONPATH": f"{ROOT / 'benchmarks'}:{ROOT}", "HOME": settings.folder}
    return Command(start, again, own)


def _cleaned(system: str, settings: Settings, command: Command, accounts: Accounts) -> int | None:
    """Records that still run after Optuna's own clean-up of stale trials, called by hand."""
    if system != "optuna" or not accounts.stuck:
        return accounts.stuck
    environment = {**os.environ, **command.environment}
    clean = [*command.start, "--clean"]
    subprocess.run(clean, env=environment, check=True, timeout=60.0)  # noqa: S603 - our own command
    return count(READERS[system](settings), settings.trials).stuck


@contextmanager
def _server() -> "Iterator[Callable[[], Server]]":
    """A private PostgreSQL server, which starts when it is needed."""
    # The tests have one.
    sys.path.append(str(ROOT))
    from tests.support.postgres import postgres

    started = list["Server"]()
    with ExitStack() as stack:

        def server() -> "Server":
            if not started:
                started.append(stack.enter_context(postgres()))
            return started[0]

        yield server


if __name__ == "__main__":
    main()
