"""The words of the code: one class for a name, distinct file names, plain sentences."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "risexp").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RIDDLES = re.compile(r"\b(?:whoever|somebody|nobody|everybody|anybody|whatever)\b", re.IGNORECASE)
STORED = 'LeaseOwner("nobody"'
"""An owner's name in the table of leases, which databases hold."""
SUFFIXES = ("ings", "ing", "ions", "ion", "ers", "er", "ors", "or", "ed", "es", "e", "s", "")


def public_classes(sources: Iterable[str]) -> Counter[str]:
    """How many modules define each public class."""
    trees = map(ast.parse, sources)
    names = [node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    return Counter(name for name in names if not name.startswith("_"))


def inflections(stems: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of file stems that differ by the ending of a word only."""
    return [pair for pair in combinations(sorted(stems), 2) if roots(pair[0]) & roots(pair[1])]


def roots(stem: str) -> set[str]:
    """What is left of a stem without an ending; a doubled last letter counts once."""
    cut = {stem.removesuffix(suffix) for suffix in SUFFIXES if stem.endswith(suffix)}
    found = {root[:-1] if root[-2:-1] == root[-1:] else root for root in cut}
    return {root for root in found if len(root) > 3}


def folders() -> Mapping[Path, list[str]]:
    """File stems of each folder of the package."""
    stems: dict[Path, list[str]] = {}
    for path in MODULES:
        stems.setdefault(path.parent, []).append(path.stem)
    return stems


def test_no_two_public_classes_share_a_name() -> None:
    counts = public_classes(path.read_text("utf-8") for path in MODULES)

    assert [] == [name for name, count in counts.items() if count > 1]


def test_a_class_defined_twice_would_be_seen() -> None:
    assert {"A": 2, "B": 1} == public_classes(["class A: ...", "class A: ...\nclass B: ..."])


def test_no_two_files_of_a_folder_are_inflections_of_one_word() -> None:
    pairs = {str(folder): inflections(stems) for folder, stems in folders().items()}

    assert {} == {folder: found for folder, found in pairs.items() if found}


def test_inflections_would_be_seen() -> None:
    stems = ["sender", "sending", "record", "recorder", "pruner", "pruning", "served", "serving"]

    pairs = inflections([*stems, "folder", "trainer", "journal"])

    assert list(zip(sorted(stems)[::2], sorted(stems)[1::2], strict=True)) == pairs


def test_sentences_name_their_subject() -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*MODULES, *PAGES]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if RIDDLES.search(line) and STORED not in line
    ]

    assert [] == lines


def test_a_riddle_would_be_seen() -> None:
    assert RIDDLES.search("told to Whoever asks")
    assert not RIDDLES.search("what the callback reports")
