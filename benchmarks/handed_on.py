"""Counts the files and names that an argument meets on its way through the code.

From one parameter of one function the calls are followed that hand it, or a field of it, to another
function: by imports, and by methods that only one class of the package defines. What a function of
the package makes of it is followed too. Nothing is run. Counted are the files and functions on the
way, and the names (of parameters and locals) that hold it.

    python benchmarks/handed_on.py CHECKOUT FILE:FUNCTION:PARAMETER ... [--names]
"""

import argparse
import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """A function or method, or a class by its constructor."""

    module: str
    name: str
    """`function`, `Class` or `Class.method`."""


@dataclass
class Package:
    """What a checkout defines, and what its modules import."""

    functions: dict[Place, Function] = field(default_factory=dict)
    classes: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    """Fields of dataclasses and sections, or the parameters of a constructor."""
    imports: dict[str, dict[str, Place]] = field(default_factory=lambda: defaultdict(dict))
    methods: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, root: Path) -> "Package":
        """Read every module below `risexp/`."""
        package = cls()
        for path in sorted((root / "risexp").rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            package._add(module, ast.parse(path.read_text("utf-8")))
        return package

    def _add(self, module: str, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("risexp"):
                for alias in node.names:
                    name = alias.asname or alias.name
                    self.imports[module][name] = Place(str(node.module), alias.name)
        for node in tree.body:
            if isinstance(node, Function):
                self.functions[Place(module, node.name)] = node
            elif isinstance(node, ast.ClassDef):
                self._add_class(module, node)

    def _add_class(self, module: str, node: ast.ClassDef) -> None:
        fields = [
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        ]
        for each in node.body:
            if isinstance(each, Function):
                place = Place(module, f"{node.name}.{each.name}")
                self.functions[place] = each
                if not each.name.startswith("__"):
                    self.methods[each.name].append(place)
        self.classes[Place(module, node.name)] = tuple(fields)

    def called(self, module: str, owner: str, function: ast.expr) -> Place | None:
        """What a call's function is, as far as the text tells."""
        if isinstance(function, ast.Name):
            place = self.imports[module].get(function.id, Place(module, function.id))
            return place if place in self.functions or place in self.classes else None
        if not isinstance(function, ast.Attribute):
            return None
        value = function.value
        if isinstance(value, ast.Name) and value.id in {"self", "cls"} and owner:
            place = Place(module, f"{owner}.{function.attr}")
        elif isinstance(value, ast.Name) and value.id in self.imports[module]:
            base = self.imports[module][value.id]
            place = Place(base.module, f"{base.name}.{function.attr}")
            if place not in self.functions:
                place = Place(f"{base.module}.{base.name}", function.attr)
        elif len(found := self.methods.get(function.attr, [])) == 1:
            place = found[0]
        else:
            return None
        return place if place in self.functions else None


@dataclass
class Walk:
    """Where an argument has been."""

    package: Package
    names: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))

    def enter(self, place: Place, parameter: str) -> None:
        """Follow an argument that a function receives."""
        if parameter in self.names[place]:
            return
        self.names[place].add(parameter)
        function = self.package.functions.get(place)
        if function is not None:
            self._follow(place, function)

    def _follow(self, place: Place, function: Function) -> None:
        held = self.names[place]
        for node in ast.walk(function):
            for value, targets in _bindings(node):
                if self._holds(place, value, held):
                    held |= {name.id for target in targets for name in _targets(target)}
        owner = place.name.rpartition(".")[0]
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            target = self.package.called(place.module, owner, call.func)
            if target is not None:
                for parameter in self._parameters(target, call, held):
                    self.enter(self._constructor(target), parameter)

    def _holds(self, place: Place, value: ast.expr, held: set[str]) -> bool:
        """True for a held name, a field of one, and what a function of the package makes of it."""
        if not isinstance(value, ast.Call):
            return _uses(value, held)
        owner = place.name.rpartition(".")[0]
        target = self.package.called(place.module, owner, value.func)
        return target is not None and any(self._parameters(target, value, held))

    def _constructor(self, place: Place) -> Place:
        made = Place(place.module, f"{place.name}.__init__")
        return made if made in self.package.functions else place

    def _parameters(self, place: Place, call: ast.Call, held: set[str]) -> Iterator[str]:
        """The parameters by which a call hands on what is held."""
        place = self._constructor(place)
        if place in self.package.functions:
            spec = self.package.functions[place].args
            names = [each.arg for each in (*spec.posonlyargs, *spec.args)]
            method = "." in place.name and names[:1] in (["self"], ["cls"])
            if method:
                names = names[1:]
                if isinstance(call.func, ast.Attribute) and _uses(call.func.value, held):
                    yield "self"
        else:
            names = list(self.package.classes[place])
        for index, argument in enumerate(call.args):
            if _uses(argument, held) and index < len(names):
                yield names[index]
        for keyword in call.keywords:
            if keyword.arg is not None and _uses(keyword.value, held):
                yield keyword.arg


def _uses(node: ast.AST, names: set[str]) -> bool:
    """True if an expression is a held name, or a field of one: `request`, `request.study`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return isinstance(node, ast.Name) and node.id in names


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """What a statement binds to names: the value and the targets."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield value, targets
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            yield value, [target]
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield value, [target]


def _targets(node: ast.expr) -> list[ast.Name]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)]


def count(package: Package, start: str) -> Mapping[str, object]:
    """Files, functions and names on the way of one parameter."""
    path, function, parameter = start.split(":")
    walk = Walk(package)
    walk.enter(Place(path.removesuffix(".py").replace("/", "."), function), parameter)
    names = {(place.module, name) for place, held in walk.names.items() for name in held}
    return {
        "start": start,
        "files": len({module for module, _ in names}),
        "functions": len(walk.names),
        "names": len(names - {(module, "self") for module, _ in names}),
        "by_file": {
            module: sorted(name for other, name in names if other == module)
            for module in sorted({module for module, _ in names})
        },
    }


def main() -> None:
    """Count, and print a line a start, or JSON with every name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("starts", nargs="+")
    parser.add_argument("--names", action="store_true", help="print JSON with every name")
    arguments = parser.parse_args()
    sys.setrecursionlimit(10_000)
    package = Package.read(arguments.checkout)
    rows = [count(package, start) for start in arguments.starts]
    if arguments.names:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            figures = "  ".join(f"{row[key]:4} {key}" for key in ("files", "functions", "names"))
            print(f"{figures}  {row['start']}")


if __name__ == "__main__":
    main()
