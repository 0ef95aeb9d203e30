"""The shape of the code: small files and functions, everything typed, and no circle of imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp

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
    """True if an argument or the result has no annotation; `self` and `cls` need none."""
    spec = function.args
    extra = [argument for argument in (spec.vararg, spec.kwarg) if argument is not None]
    arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *extra]
    checked = [argument for argument in arguments if argument.arg not in {"self", "cls"}]
    return function.returns is None or any(argument.annotation is None for argument in checked)


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


def test_no_file_is_long() -> None:
    long = [named(path) for path in FILES if len(path.read_text("utf-8").splitlines()) > 300]

    assert [] == long


def test_functions_are_short_and_typed_and_print_nothing() -> None:
    trees = {named(path): ast.parse(path.read_text("utf-8")) for path in FILES}
    defined = [(name, function) for name, tree in trees.items() for function in functions(tree)]

    assert [] == [(name, each.name) for name, each in defined if length(each) > 40]
    assert [] == [(name, each.name) for name, each in defined if untyped(each)]
    assert [] == [name for name, tree in trees.items() if prints(tree)]


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


def test_every_config_field_is_described() -> None:
    assert [] == [path for path in fields() if not describe(path)]


def test_every_preset_is_a_run_of_its_own() -> None:
    shas = [RunConfig().sha(), *(load_config(preset=name).config.sha() for name in preset_names())]

    assert len(preset_names()) + 1 == len(set(shas))


def test_every_shipped_space_is_sound() -> None:
    assert [] == [path.stem for path in SPACES if check_space(load_space(str(path))).problems]


SOURCE = "\n".join(path.read_text("utf-8") for path in FILES if path.parent.name != "config")


READERS: dict[str, str] = {
    "pool_h": r"\.pool\b",
    "pool_v": r"\.pool\b",
    "method": r"\.method_for\(",
}
"""How code outside the configuration reads what has a default of its own there; weights of terms
are read through the table of terms."""


def test_every_config_field_is_read_by_some_code() -> None:
    """A knob that nothing reads would be searched over in vain."""
    assert [] == [path for path in fields() if not re.search(reader(path), SOURCE)]


def reader(path: str) -> str:
    """The expression that finds code which reads a field."""
    name = path.rsplit(".", 1)[1]
    weight = name in LossWeights.model_fields and path != "curriculum.count"
    return rf'"{name}": ' if weight else READERS.get(name, rf"\.{name}\b")


def test_a_field_that_nothing_reads_would_be_seen() -> None:
    assert re.findall(r"\.momentum\b", SOURCE) == []
