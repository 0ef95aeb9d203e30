"""Museum 26: the "classical ceiling" was reached by returning the labels where a search failed.

`Truth` is a type of its own. No estimator takes it, names it or reaches for it, and no answer
changes when everything that is true of the scenes is exchanged.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.methods import Method, method_named
from risexp.data.frames import Scenes, Truth
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.probe_data import label_estimate
from risexp.inference.estimate import Estimate
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


def scrambled(scenes: Scenes) -> Scenes:
    """The same frames, with the truth of quite other scenes."""
    truth = scenes.truth
    count = truth.count.roll(1)
    most = truth.phi_rad.shape[1]
    absent = torch.arange(most) >= count.unsqueeze(-1)

    def other(low: float, high: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(9)
        drawn = torch.rand(absent.shape, generator=generator, dtype=torch.float64)
        return (low + (high - low) * drawn).masked_fill(absent, torch.nan)

    told = replace(
        truth,
        count=count,
        phi_rad=other(-0.5, 0.5),
        theta_rad=other(-0.2, 0.2),
        range_m=other(1.0, 9.0),
        symbols=torch.ones_like(truth.symbols),
        amplitude=torch.ones_like(truth.amplitude),
        noise_power=truth.noise_power.roll(1),
    )
    return Scenes(scenes.frames, told)


def listens_only(method: Method, scenes: Scenes) -> bool:
    """Whether an answer is the same whatever is true."""
    one, other = method(scenes), method(scrambled(scenes))
    return all(
        torch.equal(value.nan_to_num(nan=-9.0), getattr(other, name).nan_to_num(nan=-9.0))
        for name, value in vars(one).items()
    )


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


def scenes_of(count: int) -> Scenes:
    config = smoke()
    return SceneGenerator(config.physics, config.data).scenes("test", 0, count)


def test_there_are_estimators_to_look_at() -> None:
    assert {"nomp.py", "estimate.py", "receiver_model.py", "network.py"} <= {
        path.name for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_estimator_takes_or_names_the_truth(path: Path) -> None:
    assert set() == mentions(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "fault",
    [
        "from risexp.data.frames import Truth",
        "from risexp.data.frames import Truth as Known",
        "def locate(frames: Frames, labels: frames.Truth) -> Estimate: ...",
        "def locate(frames: Frames, labels: 'Truth | None' = None) -> Estimate: ...",
        "def locate(frames: Frames, truth) -> Estimate: ...",
        "def locate(frames: Frames, truth_m: Tensor) -> Estimate: ...",
        "def locate(scenes: Scenes) -> Estimate: ...",
        "def locate(frames: Any) -> Estimate:\n    return frames.truth.phi_rad",
        "def locate(frames: Any) -> Estimate:\n    return getattr(frames, 'truth')",
        "@dataclass\nclass Localiser:\n    known: Truth | None = None",
        "from risexp.data.scenes import SceneGenerator",
        "def locate(frames: Frames) -> Estimate:\n    return search(frames, truth=None)",
    ],
)
def test_an_estimator_that_takes_or_names_the_truth_would_be_seen(fault: str) -> None:
    assert mentions(fault) != set()


def test_to_speak_of_the_truth_is_not_to_use_it() -> None:
    spoken = (
        '"""No Truth of any Scenes is seen."""\n\n\ndef locate() -> None:\n    """Nor truth."""\n'
    )

    assert set() == mentions(spoken)
    assert set() == mentions("from risexp.data.scenes import panel_of\n")


@pytest.mark.parametrize("name", ["nomp", "nomp:bic", "nomp:aic"])
def test_an_answer_does_not_change_with_the_truth(name: str) -> None:
    assert listens_only(method_named(name, smoke()), scenes_of(24))


def test_a_localiser_that_falls_back_on_labels_would_be_seen() -> None:
    honest = method_named("nomp", smoke())

    assert not listens_only(falls_back_on_labels(honest), scenes_of(24))


def test_scrambling_changes_everything_that_is_true_and_nothing_that_is_heard() -> None:
    scenes = scenes_of(24)

    other = scrambled(scenes)

    assert scenes.frames is other.frames
    for name, value in scenes.truth.items():
        assert not torch.equal(value.nan_to_num(), getattr(other.truth, name).nan_to_num())
    assert isinstance(other.truth, Truth)
