"""The k-head probe: the count head memorises scenes, then learns to count fresh ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    batch_sizes,
    milestones,
    one_epoch_changes,
    short_run_changes,
    train_setup,
)
from risexp.diagnostics.report import (
    Evidence,
    Rate,
    Report,
    Requirement,
    Table,
    checked_report,
    confusion_table,
    majority_share,
)
from risexp.model.network import Network
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective
from risexp.training.plan import Plan

BY_HEART: Final = 0.95
"""Least K accuracy on memorised scenes."""
SHARE: Final = 0.9
"""Least share of the way from the untrained network's K accuracy to one."""
CLASSES: Final = 3
"""Least number of different counts among the answers to fresh scenes."""
SURE: Final = 0.99
"""Level of the confidence interval that must lie above chance."""
_RARE: Final = 0.01
"""Share of the answers below which a count does not count as answered."""
_RATE: Final = 3e-3
_BATCH: Final = 64
_ANSWERED: Final = 256
"""Scenes of one forward pass."""


@dataclass(frozen=True)
class Amount:
    """How many scenes the count head learns and answers."""

    scenes: int = 64
    epochs: int = 150
    """Most epochs on them."""
    fresh: int = 8192
    """Scenes seen once before fresh ones are counted; 0 keeps the weights as they are."""
    judged: int = 1024
    """Fresh scenes that are counted; 0 skips that half."""


@dataclass(frozen=True)
class Counted:
    """Counts answered beside true ones."""

    answers: Tensor
    """(B,) int64"""
    truth: Tensor
    """(B,) int64"""
    most: int

    @property
    def hits(self) -> Tensor:
        """Which counts are right, (B,) bool."""
        return self.answers == self.truth

    @property
    def rate(self) -> Rate:
        """K accuracy with its 99 % interval."""
        return Rate.of(self.hits, SURE)

    @property
    def majority(self) -> float:
        """K accuracy of always answering the most frequent count."""
        return majority_share(self.truth)

    @property
    def classes(self) -> int:
        """Number of different counts among the answers, rare ones left out."""
        return int((self.answers.bincount() >= _RARE * len(self.answers)).sum())

    def table(self) -> Table:
        """Scenes by true and answered count."""
        label = "fresh scenes by true and answered count"
        return confusion_table(label, self.truth, self.answers, self.most)


def probe_k_head(
    config: RunConfig,
    amount: Amount | None = None,
    beta: float | None = None,
    trainer: ProbeTrainer | None = None,
) -> Report:
    """Memorise a few scenes under the count phase's weights; then count fresh ones anew.

    The backbone learns too, even if the phase freezes it. By default beta is the final one.
    """
    trainer, amount = trainer or ProbeTrainer(), amount or Amount()
    if config.data.sources_max == 1:
        return Report("k-head", "info", (), ("Every scene holds one source: nothing to count.",))
    counting = config.replace(_count_phase(config.beta.final if beta is None else beta))
    untrained, short_run = _memorise(counting, amount, trainer)
    checks = [short_run.step_check(), _memory_check(untrained, short_run, amount)]
    evidence: list[Evidence] = [_curve(untrained, short_run)]
    clear = [f"{amount.scenes} scenes are known by heart after {len(short_run.epochs)} epochs."]
    if amount.judged:
        before, counted = _count_fresh(counting, amount, trainer)
        checks += _fresh_checks(before, counted)
        evidence.append(counted.table())
        clear.append(
            f"After {amount.fresh} scenes, each seen once, {counted.rate.value:.3f} of fresh ones "
            f"are counted, where always answering one count gets {counted.majority:.3f} and the "
            f"untrained network {before.rate.value:.3f}."
        )
    return checked_report("k-head", checks, evidence, clear)


def counts(network: Module, objective: Objective, scenes: Scenes, beta: float) -> Counted:
    """The counts that a network answers for scenes."""
    network.eval()
    answers = []
    with torch.no_grad():
        for start in range(0, len(scenes), _ANSWERED):
            observation = objective.observe(scenes.frames[start : start + _ANSWERED])
            answers.append(network(observation, beta).count)
    most = scenes.truth.phi_rad.shape[1]
    return Counted(torch.cat(answers), scenes.truth.count, most)


def train_on_fresh(config: RunConfig, scenes: int, trainer: ProbeTrainer) -> Module:
    """A network after one pass over fresh scenes."""
    batches = max(1, scenes // _BATCH)
    changes = short_run_changes(config.training, 1, _BATCH, batches, _RATE) | one_epoch_changes(
        config
    )
    short = config.replace(changes | {"training.repeat": False})
    network, objective = trainer.fresh_network(short), trainer.objective_of(short)
    if scenes == 0:
        return network
    setup = train_setup(network, objective, objective, lambda _network, _plan: {"loss": 0.0})
    return trainer.train(short, setup).network


def _count_phase(beta: float) -> dict[str, Any]:
    return {
        "curriculum.phase": "count",
        "curriculum.count_backbone_lr": 1.0,
        "count.decision": "probable",
        "beta.start": beta,
        "beta.final": beta,
        "beta.jitter": 0.0,
    }


def _memorise(config: RunConfig, amount: Amount, trainer: ProbeTrainer) -> tuple[float, ShortRun]:
    """The K accuracy of the untrained network, and the run that learns the scenes by heart."""
    size, batches = batch_sizes(amount.scenes)
    short = config.replace(short_run_changes(config.training, amount.epochs, size, batches, _RATE))
    network, objective = trainer.fresh_network(short), trainer.objective_of(short)
    scenes = trainer.scenes(short, "train", size * batches)
    cached = CachedObjective(objective)

    def judge(judged: Module, plan: Plan) -> Mapping[str, float]:
        answer = judged(cached.observation(scenes.frames), plan.beta)
        hits = (answer.count == scenes.truth.count).double().mean()
        return {"loss": 1.0 - float(hits), "k_acc": float(hits)}

    with torch.no_grad():
        untrained = judge(network.eval(), curriculum(short)[0])["k_acc"]
    setup = train_setup(network, objective, cached, judge)
    needed = _needed(untrained)
    return untrained, trainer.train(short, setup, lambda ended: ended.scores["k_acc"] >= needed)


def _needed(untrained: float) -> float:
    """The K accuracy of memorised scenes that shows learning."""
    return max(BY_HEART, untrained + SHARE * (1.0 - untrained))


def _count_fresh(
    config: RunConfig, amount: Amount, trainer: ProbeTrainer
) -> tuple[Counted, Counted]:
    """Counts of fresh scenes by the untrained network, and by the trained one."""
    untrained = replace(trainer, network=Network).fresh_network(config)
    networks = untrained, train_on_fresh(config, amount.fresh, trainer)
    scenes = trainer.scenes(config, "test", amount.judged)
    objective, beta = trainer.objective_of(config), config.beta.final
    before, after = (counts(network, objective, scenes, beta) for network in networks)
    return before, after


def _memory_check(untrained: float, short_run: ShortRun, amount: Amount) -> Requirement:
    accuracy = short_run.scores.get("k_acc", torch.nan)
    return Requirement.at_least(
        "K accuracy of scenes known by heart",
        accuracy,
        _needed(untrained),
        f"The count head does not learn {amount.scenes} scenes by heart: after "
        f"{len(short_run.epochs)} epochs it counts {accuracy:.2f} of them, and {untrained:.2f} "
        "before any training. Look at training.optimizer.lr, and whether its input "
        "differs from scene to scene and belongs to its scene, and whether its loss reaches it.",
    )


def _fresh_checks(before: Counted, counted: Counted) -> list[Requirement]:
    rate, needed = counted.rate, min(CLASSES, counted.most)
    low, chance = rate.low, max(counted.majority, before.rate.value)
    return [
        Requirement(
            "lower 99 % bound of the K accuracy of fresh scenes",
            low,
            f"> {chance:.3f}",
            low > chance,
            f"Of fresh scenes {rate.value:.3f} are counted, surely no more than {low:.3f}, where "
            f"one answer or an untrained network gets {chance:.3f}: the input of the head shows "
            "nothing of the count, so look whether observations belong to their scenes; or it has "
            "seen too few scenes (--fresh).",
        ),
        Requirement.at_least(
            "different counts answered to fresh scenes",
            float(counted.classes),
            float(needed),
            f"Only {counted.classes} different counts are answered to fresh scenes: the head has "
            "settled on a few classes, so look at its thresholds, its costs and its features.",
        ),
    ]


def _curve(untrained: float, short_run: ShortRun) -> Table:
    rows = (
        (0, None, untrained),
        *(
            (epoch.plan.epoch, epoch.losses.raw["count"], epoch.scores["k_acc"])
            for epoch in milestones(short_run.epochs)
        ),
    )
    return Table("scenes learned by heart", ("epoch", "count loss", "K accuracy"), rows)
