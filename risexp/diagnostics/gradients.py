"""The gradients probe: loss terms and gradients that are not finite on degenerate scenes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.degenerate import degenerate_batches
from risexp.diagnostics.probe_trainer import ProbeTrainer, seeded
from risexp.diagnostics.report import Report, Requirement, Table, check_table
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.target import Target
from risexp.loss.terms import TERMS, Term
from risexp.model.observation import Observation
from risexp.training.objective import Objective

Fault = Literal["value", "gradient", "fails"]
"""The term is not finite, its gradient is not, or its computation fails."""

_NOISE: Final = 0.1
"""Noise on the second network's weights: at the start layers of zeros hide those behind them."""
_BETA: Final = 0.3
"""Share of the samples if none is configured."""
_ANSWER: Final = "the answer"
"""Name of the network's own answer among the terms."""
_FAILURES: Final = (ArithmeticError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Finding:
    """One faulty term on one batch."""

    term: str
    batch: str
    fault: Fault
    details: str
    """Parameters with a bad gradient, or the message of the exception."""

    @property
    def sentence(self) -> str:
        """The finding as a sentence."""
        words = {
            "value": "is no finite number",
            "gradient": f"has a gradient that is not finite, at {self.details}",
            "fails": f"cannot be computed ({self.details})",
        }
        return f"{self.term} {words[self.fault]}, on the batch `{self.batch}`."


def probe_gradients(
    config: RunConfig,
    scenes: int = 8,
    trainer: ProbeTrainer | None = None,
    table: Mapping[str, Term] = TERMS,
) -> Report:
    """Compute every term and its gradient on degenerate batches, with and without samples."""
    trainer = trainer or ProbeTrainer()
    draws_map = config.network.front_for(config.physics.symbols) == "image"
    terms = {name: term for name, term in table.items() if name != "heat" or draws_map}
    objective, networks = trainer.objective_of(config), _networks(config, trainer)
    betas = (0.0, max(config.beta.start, config.beta.final) or _BETA)
    batches = degenerate_batches(config, scenes)
    findings: dict[tuple[str, str], Finding] = {}
    for name, batch in batches.items():
        probe = TermProbe(name, batch.to(trainer.device), objective, terms)
        for network in networks:
            for beta in betas:
                for finding in probe.findings(network, beta):
                    findings.setdefault((finding.term, finding.batch), finding)
    return _report(list(findings.values()), list(terms), list(batches))


@dataclass(frozen=True)
class TermProbe:
    """Computes every term of the loss on one batch."""

    name: str
    batch: Scenes
    objective: Objective
    terms: Mapping[str, Term]

    def findings(self, network: Module, beta: float) -> Iterator[Finding]:
        """The faulty terms of a network's answer."""
        try:
            pair = self._pair(network, beta)
        except _FAILURES as error:
            yield Finding(_ANSWER, self.name, "fails", str(error))
            return
        for name, term in self.terms.items():
            try:
                value = term(pair).mean()
                spoiled = _not_finite(value, network)
            except _FAILURES as error:
                yield Finding(name, self.name, "fails", str(error))
                continue
            if not bool(value.isfinite()):
                yield Finding(name, self.name, "value", "")
            elif spoiled:
                yield Finding(name, self.name, "gradient", ", ".join(spoiled[:3]))

    def _pair(self, network: Module, beta: float) -> PredictionPair:
        observation, target = self._labelled
        return PredictionPair(network(observation, beta), target, self.objective.settings)

    @cached_property
    def _labelled(self) -> tuple[Observation, Target]:
        observation = self.objective.observe(self.batch.frames)
        return observation, self.objective.target(observation, self.batch)


def _not_finite(value: Tensor, network: Module) -> list[str]:
    if not value.requires_grad:
        return []
    named = dict(network.named_parameters())
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
        value, list(named.values()), allow_unused=True, retain_graph=True
    )
    return [
        name
        for name, gradient in zip(named, gradients, strict=True)
        if gradient is not None and not bool(gradient.isfinite().all())
    ]


def _networks(config: RunConfig, trainer: ProbeTrainer) -> tuple[Module, Module]:
    """A fresh network, and one with noise on every weight."""
    fresh, noisy = trainer.fresh_network(config), trainer.fresh_network(config)
    with seeded(config.training.seed), torch.no_grad():
        for parameter in noisy.parameters():
            parameter.add_(_NOISE * torch.randn_like(parameter))
    return fresh, noisy


def _report(findings: list[Finding], terms: list[str], batches: list[str]) -> Report:
    cells = {(finding.term, finding.batch): finding.fault for finding in findings}
    failing = any(finding.term == _ANSWER for finding in findings)
    rows = tuple(
        (term, *(cells.get((term, batch), "finite") for batch in batches))
        for term in [*([_ANSWER] if failing else []), *terms]
    )
    count = float(len(findings))
    check = Requirement.at_most("terms that are not finite, over all batches", count, 0.0, "")
    sentences = [finding.sentence for finding in findings] or [
        f"All {len(terms)} terms and their gradients are finite on {len(batches)} batches."
    ]
    evidence = (check_table([check]), Table("terms by batch", ("term", *batches), rows))
    return Report("gradients", "fail" if findings else "pass", evidence, tuple(sentences))
