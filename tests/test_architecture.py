"""The shape of the code: small files and functions, and every field of a configuration read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from risexp.config.layers import load_config, preset_names
from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig, fields

PACKAGE = Path(__file__).parents[1] / "risexp"
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = {str(path.relative_to(PACKAGE)): path.read_text("utf-8") for path in FILES}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the last statement, the docstring left out."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None:
        return lines
    return lines - ((first.end_lineno or 0) - first.lineno + 1)


def test_no_file_is_long() -> None:
    assert [] == [name for name, text in SOURCES.items() if len(text.splitlines()) > 300]


def test_functions_are_short() -> None:
    defined = {
        (name, function.name): length(function)
        for name, text in SOURCES.items()
        for function in functions(ast.parse(text))
    }

    assert len(defined) > 200
    assert {} == {place: lines for place, lines in defined.items() if lines > 40}


def test_a_long_function_would_be_seen() -> None:
    body = "\n".join(f"    x{line} = {line}" for line in range(39))
    tree = ast.parse(
        f'def short():\n    """Two\n    lines."""\n{body}\ndef long():\n{body}\n    y\n'
    )

    assert [40, 41] == [length(function) for function in functions(tree)]


def test_every_preset_is_a_run_of_its_own() -> None:
    shas = [RunConfig().sha(), *(load_config(preset=name).config.sha() for name in preset_names())]

    assert len(preset_names()) + 1 == len(set(shas))


READERS: dict[str, str] = {
    "pool_h": r"\.pool\b",
    "pool_v": r"\.pool\b",
    "method": r"\.method_for\(",
}
"""How code outside the configuration reads what has a default of its own there; weights of terms
are read through the table of terms."""


def test_every_config_field_is_read_by_some_code() -> None:
    """A knob that nothing reads would be searched over in vain."""
    readers = "\n".join(text for name, text in SOURCES.items() if not name.startswith("config/"))

    assert [] == [path for path in fields() if not re.search(reader(path), readers)]
    assert [] == re.findall(r"\.momentum\b", readers), "which no field is called"


def reader(path: str) -> str:
    """The expression that finds code which reads a field."""
    name = path.rsplit(".", 1)[1]
    weight = name in LossWeights.model_fields and path != "curriculum.count"
    return rf'"{name}": ' if weight else READERS.get(name, rf"\.{name}\b")
