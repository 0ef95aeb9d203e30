"""The shape of the code: small files and functions, everything typed, and no circle of imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from risexp.config.layers import load_config, preset_names
from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig, describe, fields
from risexp.space.check import check_space
from risexp.space.files import load_space

PACKAGE = Path(__file__).parents[1] / "risexp"
FILES = sorted(PACKAGE.rglob("*.py"))
SPACES = sorted((PACKAGE.parent / "search_spaces").glob("*.yaml"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the last statement, the docstring left out."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None:
        return lines
    return lines - ((first.end_lineno or 0) - first.lineno + 1)


def untyped(function: Function) -> bool:
    """Whether an argument or the result has no annotation; `self` and `cls` need none."""
    given = function.args
    named_ = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    extra = [each for each in (given.vararg, given.kwarg) if each is not None]
    arguments = [each for each in named_ + extra if each.arg not in {"self", "cls"}]
    return function.returns is None or any(each.annotation is None for each in arguments)


def prints(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))


def circles(imports: dict[str, set[str]]) -> set[str]:
    """Modules on a circle of imports, or between two: what is left when the ends are cut off."""
    left = dict(imports)
    while True:
        used = set().union(*left.values()) if left else set()
        ends = {module for module in left if not left[module] & left.keys() or module not in used}
        if not ends:
            return set(left)
        left = {module: found for module, found in left.items() if module not in ends}


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 30
    assert len(SPACES) >= 3
    assert sum(1 for path in FILES for _ in functions(ast.parse(path.read_text("utf-8")))) > 200


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=named)
def test_functions_are_short_and_typed_and_print_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))

    assert [function.name for function in functions(tree) if length(function) > 40] == []
    assert [function.name for function in functions(tree) if untyped(function)] == []
    assert not prints(tree)


def test_a_long_untyped_printing_function_would_be_seen() -> None:
    body = "\n".join(f"    x{line} = {line}" for line in range(39))
    tree = ast.parse(f'def short(a: int) -> None:\n    """Two\n    lines."""\n{body}\n')
    longer = ast.parse(f"def long(a: int, *rest) -> None:\n{body}\n    print(a)\n")

    assert [length(function) for function in functions(tree)] == [40]
    assert [length(function) for function in functions(longer)] == [41]
    assert [untyped(function) for function in functions(tree)] == [False]
    assert [untyped(function) for function in functions(longer)] == [True]
    assert (prints(tree), prints(longer)) == (False, True)


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph("risexp", cache_dir=None)
    imports = {
        module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules
    }

    assert len(imports) > 30
    assert circles(imports) == set()


def test_a_circle_would_be_seen() -> None:
    imports = {"a": {"b"}, "b": {"c", "e"}, "c": {"d"}, "d": {"b"}, "e": set[str](), "f": {"a"}}

    assert circles(imports) == {"b", "c", "d"}
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()


@pytest.mark.parametrize("path", fields())
def test_every_config_field_is_described(path: str) -> None:
    assert describe(path)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_run_of_its_own(name: str) -> None:
    others = {load_config(preset=other).config.sha() for other in preset_names() if other != name}

    sha = load_config(preset=name).config.sha()

    assert RunConfig().sha() != sha
    assert sha not in others


@pytest.mark.parametrize("path", SPACES, ids=lambda path: str(path.stem))
def test_every_shipped_space_is_sound(path: Path) -> None:
    assert check_space(load_space(str(path))).problems == ()


SOURCE = "\n".join(path.read_text("utf-8") for path in FILES if path.parent.name != "config")


READERS: dict[str, str] = {
    "pool_h": r"\.pool\b",
    "pool_v": r"\.pool\b",
    "method": r"\.method_for\(",
}
"""How code outside the configuration reads what has a default of its own there; weights of terms
are read through the table of terms."""


@pytest.mark.parametrize("path", fields())
def test_every_config_field_is_read_by_some_code(path: str) -> None:
    """A knob that nothing reads would be searched over in vain."""
    name = path.rsplit(".", 1)[1]
    weight = name in LossWeights.model_fields and path != "curriculum.count"

    reader = rf'"{name}": ' if weight else READERS.get(name, rf"\.{name}\b")

    assert re.search(reader, SOURCE)


def test_a_field_that_nothing_reads_would_be_seen() -> None:
    assert re.findall(r"\.momentum\b", SOURCE) == []
