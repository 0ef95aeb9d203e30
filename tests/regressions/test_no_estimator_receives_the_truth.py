"""Museum 26: the "classical ceiling" was reached by returning the labels where a search failed.

`Truth` is a type of its own. No estimator takes it, names it or reaches for it, and no answer
changes when everything that is true of the scenes is exchanged.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.methods import Method, method_named
from risexp.data.frames import Scenes
from risexp.diagnostics.probe_data import label_estimate
from risexp.inference.estimate import Estimate
from tests.support.localisation import forged, identical, scenes_of
from tests.support.references import smoke

PACKAGE = Path(__file__).parents[2] / "risexp"
FILES = sorted(
    path for room in ("estimation", "model", "inference") for path in (PACKAGE / room).rglob("*.py")
)
FORBIDDEN = re.compile(r"[Tt]ruth|\bScenes\b|SceneGenerator")


def mentions(source: str) -> set[str]:
    """Every place outside docstrings where code names what only those who score may see."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        f"{word} (line {getattr(node, 'lineno', 0)})"
        for node in ast.walk(tree)
        if id(node) not in said
        for word in names(node)
        if FORBIDDEN.search(word)
    }


def names(node: ast.AST) -> Iterator[str]:
    """The names a node uses, gives, or spells in a string."""
    match node:
        case ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield name
        case ast.Attribute(attr=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield name.rsplit(".", 1)[-1] if name.startswith("risexp") else name
            yield other or ""
        case ast.Constant(value=str(text)):
            yield text


def falls_back_on_labels(method: Method) -> Method:
    """Where the localiser is unsure it answers the truth, as the ceiling of old."""

    def answer(scenes: Scenes) -> Estimate:
        found, true = method(scenes), label_estimate(scenes.truth)
        unsure = found.confidence < found.confidence.median()
        columns = (
            torch.where(unsure.view(-1, *[1] * (value.ndim - 1)), getattr(true, name), value)
            for name, value in vars(found).items()
        )
        return Estimate(*columns)

    return answer


def test_there_are_estimators_to_look_at() -> None:
    assert {"nomp.py", "estimate.py", "receiver_model.py", "network.py"} <= {
        path.name for path in FILES
    }


def test_no_estimator_takes_or_names_the_truth() -> None:
    found = {path.name: mentions(path.read_text(encoding="utf-8")) for path in FILES}

    assert {} == {name: said for name, said in found.items() if said}


@pytest.mark.parametrize(
    "fault",
    [
        "from risexp.data.frames import Truth",
        "from risexp.data.frames import Truth as Known",
        "def locate(frames: Frames, labels: frames.Truth) -> Estimate: ...",
        "def locate(frames: Frames, labels: 'Truth | None' = None) -> Estimate: ...",
        "def locate(frames: Frames, truth_m) -> Estimate: ...",
        "def locate(scenes: Scenes) -> Estimate: ...",
        "def locate(frames: Any) -> Estimate:\n    return getattr(frames, 'truth')",
        "from risexp.data.scenes import SceneGenerator",
        "def locate(frames: Frames) -> Estimate:\n    return search(frames, truth=None)",
    ],
)
def test_an_estimator_that_takes_or_names_the_truth_would_be_seen(fault: str) -> None:
    assert mentions(fault) != set()


def test_to_speak_of_the_truth_is_not_to_use_it() -> None:
    spoken = '"""No Truth of any Scenes."""\n\n\ndef locate() -> None:\n    """Nor truth."""\n'

    assert set() == mentions(spoken)
    assert set() == mentions("from risexp.data.scenes import panel_of\n")


def test_an_answer_does_not_change_with_the_truth_and_a_fallback_on_labels_would() -> None:
    scenes, honest = scenes_of(smoke(), 24), method_named("nomp", smoke())
    planted = falls_back_on_labels(honest)

    found, unsure = (
        [method(each) for each in (scenes, forged(scenes, 2))] for method in (honest, planted)
    )

    assert identical(*found)
    assert not identical(*unsure)
