"""Plants mutants in two checkouts and counts how many the tests of each one catch.

    python benchmarks/mutants.py choose OLD NEW --count 60 --seed 1 > mutants.json
    python benchmarks/mutants.py run CHECKOUT mutants.json > caught.json

A mutant changes one expression: a comparison, an arithmetic or Boolean operator, a number. They are
chosen at random among the expressions that both checkouts have, in functions of the same name and
in statements of the same text, in the packages of `GUARDED`. A mutant is caught if a test fails
that mirrors or imports its module; tests that take minutes are left out, as in `make test`.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

GUARDED: Final = (
    *("callbacks", "config", "core", "data", "estimation", "evaluation", "hpo", "inference"),
    *("loss", "registry", "runs", "space", "tracking", "training"),
)
"""Packages whose behaviour the tests guard most closely; `tracking` held `callbacks` and `runs`."""
LIMIT_S: Final = 900
SWAPS: Final[Mapping[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One expression and what it becomes, where both checkouts have it."""

    function: str
    statement: str
    before: str
    after: str
    old: str
    """Path of the module in the old checkout."""
    new: str


@dataclass(frozen=True)
class Site:
    """An expression of a function that can be mutated."""

    path: str
    function: str
    statement: str
    node: ast.expr


def sites(root: Path) -> Iterator[Site]:
    """Every expression of the guarded packages that a mutant may change."""
    for room in GUARDED:
        for path in sorted((root / "risexp" / room).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
            for function in functions:
                yield from _of_function(str(path.relative_to(root)), function)


def _of_function(path: str, function: ast.FunctionDef) -> Iterator[Site]:
    for statement in ast.walk(function):
        if isinstance(statement, ast.Return | ast.Assign | ast.If | ast.While | ast.AugAssign):
            root = statement.test if isinstance(statement, ast.If | ast.While) else statement.value
            if root is None:
                continue
            for node in ast.walk(root):
                if isinstance(node, ast.expr) and mutated(node) is not None:
                    yield Site(path, function.name, ast.unparse(root), node)


def mutated(node: ast.expr) -> str | None:
    """The text of the expression with one change; None where it has nothing to change."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            changed: ast.expr = ast.Compare(node.left, [SWAPS[type(op)]()], node.comparators)  # type: ignore[list-item]
        case ast.BinOp(left, op, right) if type(op) in SWAPS:
            changed = ast.BinOp(left, SWAPS[type(op)](), right)  # type: ignore[arg-type]
        case ast.BoolOp(op, values):
            changed = ast.BoolOp(SWAPS[type(op)](), values)  # type: ignore[arg-type]
        case ast.UnaryOp(ast.Not(), operand):
            changed = operand
        case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
            changed = ast.Constant(value + 1)
        case _:
            return None
    return f"({ast.unparse(changed)})"


def choose(old: Path, new: Path, count: int, seed: int) -> list[Mutant]:
    """Mutants at random, at most two a module, in expressions that both checkouts have once."""
    sides = []
    for root in (old, new):
        found: dict[tuple[str, str, str], list[Site]] = {}
        for site in sites(root):
            key = (site.function, site.statement, ast.unparse(site.node))
            found.setdefault(key, []).append(site)
        sides.append({key: rows[0] for key, rows in found.items() if len(rows) == 1})
    keys = sorted(sides[0].keys() & sides[1].keys())
    random.Random(seed).shuffle(keys)  # noqa: S311 - a choice, no secret
    taken: dict[str, int] = {}
    mutants: list[Mutant] = []
    for key in keys:
        before, after = sides[0][key], sides[1][key]
        taken[before.path] = taken.get(before.path, 0) + 1
        if taken[before.path] <= 2 and len(mutants) < count:
            change = str(mutated(before.node))
            mutants.append(Mutant(key[0], key[1], key[2], change, before.path, after.path))
    return mutants


def planted(source: str, mutant: Mutant, path: str) -> str:
    """The module's text with the mutant in it.

    Raises:
        LookupError: The expression is not there once.
    """
    tree = ast.parse(source)
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    found = [
        site.node
        for function in functions
        if function.name == mutant.function
        for site in _of_function(path, function)
        if (site.statement, ast.unparse(site.node)) == (mutant.statement, mutant.before)
    ]
    if len({(node.lineno, node.col_offset) for node in found}) != 1:
        raise LookupError(f"{path}: {mutant.before} of {mutant.function} is not there once")
    node = found[0]
    lines = source.encode().split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    begin = starts[node.lineno - 1] + node.col_offset
    end = starts[int(node.end_lineno or 0) - 1] + int(node.end_col_offset or 0)
    text = source.encode()
    return (text[:begin] + mutant.after.encode() + text[end:]).decode()


def tests_of(root: Path, path: str) -> list[str]:
    """Test files that mirror a module, then those that import it."""
    module = re.escape(path.removesuffix(".py").replace("/", "."))
    stem = Path(path).stem
    files = sorted((root / "tests").rglob("test_*.py"))
    mirror = [file for file in files if file.stem.startswith(f"test_{stem}")]
    imported = re.compile(rf"{module}\b")
    users = [file for file in files if imported.search(file.read_text("utf-8"))]
    return [str(file.relative_to(root)) for file in dict.fromkeys([*mirror, *users])]


def caught(checkout: Path, mutants: Sequence[Mutant], side: str) -> Iterator[dict[str, object]]:
    """What the tests of one checkout say of each mutant."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "copy"
        shutil.copytree(checkout, root, ignore=shutil.ignore_patterns(".venv", ".git", "mlruns"))
        for mutant in mutants:
            path = root / (mutant.old if side == "old" else mutant.new)
            source = path.read_text("utf-8")
            name = str(path.relative_to(root))
            path.write_text(planted(source, mutant, name), encoding="utf-8")
            try:
                result = _run(root, tests_of(root, name))
            finally:
                path.write_text(source, encoding="utf-8")
            sys.stderr.write(f"{result:9} {name} {mutant.function}: {mutant.before}\n")
            yield asdict(mutant) | {"result": result}


def _run(root: Path, tests: Sequence[str]) -> str:
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    options = ["-q", "-x", "-n0", "-p", "no:cacheprovider", "--timeout", "300"]
    chosen = ["-m", "not slow and not pages", "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", *options, *chosen, *tests]
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command, cwd=root, env=environment, capture_output=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return "caught"
    # 5: no test was selected.
    return {0: "survived", 5: "untested"}.get(done.returncode, "caught")


def main() -> None:
    """Choose mutants, or run the tests on them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    choosing = verbs.add_parser("choose")
    choosing.add_argument("old", type=Path)
    choosing.add_argument("new", type=Path)
    choosing.add_argument("--count", type=int, default=60)
    choosing.add_argument("--seed", type=int, default=1)
    running = verbs.add_parser("run")
    running.add_argument("checkout", type=Path)
    running.add_argument("mutants", type=Path)
    running.add_argument("--side", choices=("old", "new"), default="new")
    arguments = parser.parse_args()
    if arguments.verb == "choose":
        chosen = choose(arguments.old, arguments.new, arguments.count, arguments.seed)
        print(json.dumps([asdict(mutant) for mutant in chosen], indent=2))
        return
    mutants = [Mutant(**row) for row in json.loads(arguments.mutants.read_text("utf-8"))]
    rows = list(caught(arguments.checkout, mutants, arguments.side))
    print(json.dumps(rows, indent=2))
    results = [row["result"] for row in rows]
    sys.stderr.write(f"{results.count('caught')} of {len(results)} mutants caught\n")


if __name__ == "__main__":
    main()
