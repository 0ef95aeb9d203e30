"""Compares the numbers of two checkouts: a training, an accuracy table and a search, to the bit.

A change that moves or renames code must not change a number. Each checkout runs the same three
commands in a home of its own; times and names are left out of the comparison.

    python benchmarks/same_numbers.py OLD NEW [--scenes 50] [--json]

Exit code 4 where a number differs.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

TIMED: Final = re.compile(
    r"(^|[/._])(ms|seconds|s|time|times|sys|scenes_per_s|wall|dense|mean_ms|dense_ratio)($|[/._\d])"
)
"""Keys that hold times or the load of the machine."""
DIFFERENT: Final = 4

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measure of both checkouts."""

    compared: int
    different: list[str]


def main() -> None:
    """Run both checkouts, compare, and print what differs."""
    arguments = _arguments()
    rows = {}
    for name, measure in MEASURES.items():
        old, new = (measure(checkout, arguments.scenes) for checkout in arguments.checkouts)
        rows[name] = Row(len(old), list(differences(old, new)))
    if arguments.json:
        print(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=2))
    else:
        for name, row in rows.items():
            print(f"{name:10} {row.compared:6} values, {len(row.different)} different")
            print("".join(f"    {line}\n" for line in row.different[:20]), end="")
    if any(row.different or not row.compared for row in rows.values()):
        raise SystemExit(DIFFERENT)


def differences(old: Numbers, new: Numbers) -> Iterator[str]:
    """Keys that one side lacks, and values that differ in any bit."""
    for key in sorted(old.keys() | new.keys()):
        if (before := old.get(key, "nothing")) != (after := new.get(key, "nothing")):
            yield f"{key}: {before!r} -> {after!r}"


def training(checkout: Path, _: int) -> Numbers:
    """Every number that a training writes into its journal."""
    with tempfile.TemporaryDirectory() as home:
        _run(checkout, home, "train", "--preset", "smoke", "--device", "cpu", "--tracking", "off")
        return dict(_journals(Path(home)))


def accuracy(checkout: Path, scenes: int) -> Numbers:
    """Every number of the accuracy table."""
    with tempfile.TemporaryDirectory() as home:
        line = ("bench", "accuracy", "--preset", "smoke", "--scenes", str(scenes), "--json")
        return dict(_numbers(json.loads(_run(checkout, home, *line))))


def search(checkout: Path, _: int) -> Numbers:
    """Parameters, reports and values of a search with one worker, and its journals."""
    with tempfile.TemporaryDirectory() as home:
        line = ("hpo", "--space", "smoke", "--workers", "1", "--device", "cpu", "--tracking", "off")
        _run(checkout, home, *line, "--unchecked")
        found = dict(_journals(Path(home)))
        with sqlite3.connect(Path(home) / "mlruns" / "optuna.db") as database:
            for table, (key, value) in TABLES.items():
                query = f"SELECT trials.number, {key}, {value} FROM {table} JOIN trials USING (trial_id)"  # noqa: S608, E501
                for number, name, content in database.execute(query):
                    found[f"{table}.{number}.{name}"] = content
        return found


TABLES: Final[Mapping[str, tuple[str, str]]] = {
    "trial_params": ("param_name", "param_value"),
    "trial_intermediate_values": ("step", "intermediate_value"),
    "trial_values": ("objective", "value"),
}
"""Tables of Optuna's database: the columns of a value's name and of the value."""
MEASURES: Final[Mapping[str, Callable[[Path, int], Numbers]]] = {
    "training": training,
    "accuracy": accuracy,
    "search": search,
}


def _journals(home: Path) -> Iterator[tuple[str, Any]]:
    folders = sorted((home / "mlruns" / "runs").iterdir())
    for index, folder in enumerate(folders):
        for line in (folder / "journal.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            for key, value in _numbers(row.get("values", {})):
                yield f"run {index}.{row['step']}.{key}", value


def _numbers(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """The leaves of a JSON document by their paths, without times."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _numbers(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _numbers(value, f"{path}.{index}")
    elif not TIMED.search(path):
        yield path, tree


FIXED_SEED: Final = '''
import importlib.abc, importlib.util, sys

class Finder(importlib.abc.MetaPathFinder):
    """Gives every worker the same sampler seed: by default it depends on the process."""

    def find_spec(self, name, path, target=None):
        if not name.startswith("risexp.hpo") or not name.endswith("samplers"):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def patched(module):
            run(module)
            assert callable(module.seed_of)
            module.seed_of = lambda seed, *_others: seed
        spec.loader.exec_module = patched
        return spec

sys.meta_path.insert(0, Finder())
'''
"""A `sitecustomize` for the processes of a search."""


def _run(checkout: Path, home: str, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RISEXP_")}
    # A checkout comes before an installed package; the command of another one must not be found.
    (Path(home) / "sitecustomize.py").write_text(FIXED_SEED, encoding="utf-8")
    paths = os.pathsep.join((str(checkout), home))
    environment |= {"PYTHONPATH": paths, "RISEXP_HOME": home, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "risexp", *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: risexp {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkouts", nargs=2, type=lambda text: Path(text).absolute())
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
