"""Answers to a frozen test set are computed once, for whoever is judged by it later."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.promotion import evaluate_candidates as module
from risexp.app.promotion import kept_answers
from risexp.app.promotion import test_set as sets
from risexp.app.promotion.candidate import find_candidate
from risexp.app.promotion.kept_answers import KeptAnswers
from risexp.app.promotion.promote import kept_files
from risexp.app.promotion.test_set import load_test_set
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Predictor
from risexp.registry.sealed_model import Bundle
from risexp.registry.verdicts import Evaluation
from tests.support.frozen_sets import ignored
from tests.support.models import CPU
from tests.support.promotions import kept

SCENES, BATCH = 60, 20


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)


@pytest.fixture
def bundles() -> tuple[Bundle, Bundle]:
    kept("train-1")
    kept("train-2", seed=1)
    one, two = (find_candidate(None, name).bundle for name in ("train-1", "train-2"))
    return one, two


def frozen(bundle: Bundle, scenes: int = SCENES) -> sets.TestSet:
    return load_test_set(bundle.config, scenes, None, ignored)


def judged(candidate: Bundle, champion: Bundle, test_set: sets.TestSet) -> Evaluation:
    return module.evaluate_candidates(
        candidate.config,
        candidate.predictor(CPU),
        champion.predictor(CPU),
        test_set,
        ignored,
        kept_files(candidate, champion, test_set, CPU),
    )


def test_the_second_promotion_asks_nomp_nothing_and_the_champion_for_its_time_only(
    bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()

    def counted(name: str, method: Method) -> Method:
        def ask(scenes: Scenes) -> Estimate:
            asked[name] += len(scenes)
            return method(scenes)

        return ask

    def of_name(name: str, config: RunConfig) -> Method:
        return counted(name, method_named(name, config))

    def of_network(predictor: Predictor) -> Mapping[str, Method]:
        return {NETWORK: counted(NETWORK, network_methods(predictor)[NETWORK])}

    monkeypatch.setattr(module, "method_named", of_name)
    monkeypatch.setattr(module, "network_methods", of_network)
    monkeypatch.setattr(module, "_TIMED", 1)
    monkeypatch.setattr(sets.TestSet, "batches", partialmethod(sets.TestSet.batches, BATCH))
    first, second = bundles
    test_set, warm = frozen(first), 4

    alone = judged(first, second, test_set)
    assert {NETWORK: 2 * (warm + SCENES), "nomp": warm + SCENES} == asked
    asked.clear()
    again = judged(second, first, test_set)

    assert {NETWORK: 2 * (warm + BATCH)} == asked
    pairs = (
        (alone.candidate, again.champion),
        (alone.champion, again.candidate),
        (alone.nomp, again.nomp),
    )
    for before, after in pairs:
        assert before is not None
        assert after is not None
        assert torch.equal(before.scores.success, after.scores.success)
        assert torch.equal(before.scores.hit, after.scores.hit)
        assert (before.ece, before.ms_per_scene) == (after.ece, after.ms_per_scene)
    assert again.ms_ratio is not None
    assert again.ms_ratio > 0.0


def test_what_decides_answers_names_their_file(
    bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bundles
    test_set = frozen(first)
    weights = {name: each + 1.0 for name, each in first.weights.items()}
    wider, longer = (
        first.config.replace(change) for change in ({"data.seed": 99}, {"training.epochs": 99})
    )

    def network(bundle: Bundle, test_set: sets.TestSet = test_set) -> Path:
        return KeptAnswers.of_network(bundle, test_set, CPU).path

    def nomp(config: RunConfig) -> Path:
        return KeptAnswers.of_nomp(config, test_set, CPU).path

    others = [
        network(second),
        network(replace(first, weights=weights)),
        network(replace(first, beta=0.25)),
        network(replace(first, temperature=2.0)),
        network(replace(first, config=longer)),
        network(first, frozen(first, 40)),
        nomp(first.config),
        nomp(wider),
    ]
    for name, value in (
        ("backend_of", lambda _: "another"),
        ("_code", lambda: "another"),
        ("version", {"numba": "2", "numpy": "1"}.get),
        ("version", {"numba": "1", "numpy": "2"}.get),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(kept_answers, name, value)
            others += [network(first)]

    assert network(first) not in others
    assert len(others) == len(set(others))
    assert network(first) == network(replace(first, run_id="train-3", epoch=9))
    assert nomp(first.config) == nomp(longer)


def estimate_of(scenes: int) -> Estimate:
    places = torch.full((scenes, 2), 0.5, dtype=torch.float64)
    counts = torch.full((scenes,), 1)
    return Estimate(counts, torch.full((scenes, 2), 0.5), places, places, places)


def test_answers_of_other_code_are_deleted_once_new_ones_are_kept(
    bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bundles
    test_set = frozen(first)
    with monkeypatch.context() as patch:
        patch.setattr(kept_answers, "_code", lambda: "another")
        KeptAnswers.of_network(first, test_set, CPU).write(estimate_of(SCENES), 1.5)
    files = [KeptAnswers.of_network(each, test_set, CPU) for each in (first, second)]
    folder = files[0].path.parent
    assert 1 == len([*folder.iterdir()])

    for file in files:
        file.write(estimate_of(SCENES), 1.5)

    assert {file.path for file in files} == {*folder.iterdir()}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1] + bytes([text[-1] ^ 1]),
        lambda text: text[:-8],
        lambda _: b"",
        lambda text: text.partition(b"\n")[2],
    ],
)
def test_damaged_answers_are_as_good_as_none(
    bundles: tuple[Bundle, Bundle], damage: Callable[[bytes], bytes]
) -> None:
    first, _ = bundles
    test_set = frozen(first)
    file = KeptAnswers.of_network(first, test_set, CPU)
    assert file.read() is None
    estimate = estimate_of(SCENES)
    file.write(estimate, 1.5)
    read = file.read()
    assert read is not None
    assert torch.equal(estimate.count, read[0].count)
    assert 1.5 == read[1]

    file.path.write_bytes(damage(file.path.read_bytes()))

    assert file.read() is None


def test_answers_that_cannot_be_kept_are_no_fault(
    bundles: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    first, second = bundles
    test_set = frozen(first)
    (tmp_path / "mlruns" / "sets" / "answers").write_text("no folder", "utf-8")

    assert judged(first, second, test_set).nomp.scores is not None
