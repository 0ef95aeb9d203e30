"""The k-head probe: memorised scenes, then fresh ones."""

import torch

from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, Counted, counts, probe_k_head, train_on_fresh
from risexp.diagnostics.probe_data import drawn
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.model.network import Network
from risexp.training.objective import Objective
from tests.diagnostics.reports import table
from tests.support.references import smoke

FEW = Amount(scenes=16, epochs=60, fresh=2048, judged=256)


def test_a_count_head_learns_scenes_by_heart_and_others_better_than_chance() -> None:
    report = probe_k_head(smoke("frame", "network.width=32"), FEW)

    assert ("k-head", "pass") == (report.name, report.verdict)
    assert 2 == len(report.advice)
    rows = table(report, "true and answered").rows
    assert 256 == sum(cell for row in rows for cell in row[1:] if isinstance(cell, int))
    assert 0.95 <= float(str(table(report, "by heart").rows[-1][-1]))
    alone = probe_k_head(smoke("frame", "data.sources_max=1"), FEW)
    assert ("info", 1) == (alone.verdict, len(alone.advice))


def test_the_beta_that_is_asked_for_is_the_one_in_use() -> None:
    seen: list[float] = []

    def watched(config: RunConfig) -> torch.nn.Module:
        network = Network(config)
        network.register_forward_pre_hook(lambda _module, given: seen.append(given[1]))
        return network

    probe_k_head(smoke(), Amount(4, 1, 64, 8), beta=0.25, trainer=ProbeTrainer(network=watched))
    asked = set(seen)
    seen.clear()
    probe_k_head(
        smoke("frame", "beta.final=0.5"), Amount(4, 1, 0, 8), trainer=ProbeTrainer(network=watched)
    )

    assert ({0.25}, {0.5}) == (asked, set(seen))


def test_without_fresh_scenes_the_weights_at_hand_are_asked() -> None:
    config = smoke()
    begun, taught = ProbeTrainer().fresh_network(config), train_on_fresh(config, 0, ProbeTrainer())

    weights = taught.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in begun.state_dict().items())


def test_answers_are_counted_whatever_the_group_they_come_in() -> None:
    config = smoke()
    network, objective, scenes = (
        ProbeTrainer().fresh_network(config),
        Objective.of(config),
        drawn(config, 300),
    )

    found = counts(network, objective, scenes, 0.0)

    assert torch.equal(found.truth, scenes.truth.count)
    assert (300, 3) == (len(found.answers), found.most)
    with torch.no_grad():
        last = network(objective.observe(scenes.frames[256:]), 0.0).count
    assert torch.equal(last, found.answers[256:])


def test_a_stray_answer_is_no_class() -> None:
    cases: list[tuple[list[int], int]] = [
        ([1] * 200, 1),
        ([1] * 199 + [2], 1),
        ([1] * 190 + [2] * 10, 2),
    ]
    for answers, classes in cases:
        counted = Counted(torch.tensor(answers), torch.tensor([1] * 150 + [3] * 50), 3)

        assert classes == counted.classes, (answers, classes)
        assert 0.75 == counted.majority, (answers, classes)
        assert counted.rate.low < 0.75 <= counted.rate.value, (answers, classes)
