"""Which term of the loss makes a gradient that is no number, and on which scenes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.checks import Requirement, check_table
from risexp.diagnostics.degenerate import degenerate_batches
from risexp.diagnostics.probe_trainer import ProbeTrainer, drawing
from risexp.diagnostics.report import Report, Table
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.target import Target
from risexp.loss.terms import TERMS, Term
from risexp.model.observation import Observation
from risexp.training.objective import Objective

Fault = Literal["value", "gradient", "fails"]
"""The term is no number, its gradient is not, or it could not be computed at all."""

_KNOCK: Final = 0.1
"""Noise on the weights of the second network: at their start many layers are zero, and hide what
lies behind them."""
_BETA: Final = 0.3
"""Share of the samples, where none is configured."""
_ANSWER: Final = "the answer"
"""Stands for the network itself in the place of a term."""
_FAILURES: Final = (ArithmeticError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Finding:
    """One term that is not sound on one batch."""

    term: str
    batch: str
    fault: Fault
    details: str
    """Parameters it spoils, or the words of the exception."""

    @property
    def sentence(self) -> str:
        """The finding in words."""
        said = {
            "value": "is no finite number",
            "gradient": f"has a gradient that is not finite, at {self.details}",
            "fails": f"cannot be computed ({self.details})",
        }
        return f"{self.term} {said[self.fault]}, on the batch `{self.batch}`."


def probe_gradients(
    config: RunConfig,
    scenes: int = 8,
    school: ProbeTrainer | None = None,
    table: Mapping[str, Term] = TERMS,
) -> Report:
    """Compute every term and its gradient on degenerate batches, with and without samples.

    Args:
        config: A run.
        scenes: Of each batch.
        school: The code under test.
        table: The terms under test.
    """
    school = school or ProbeTrainer()
    draws_map = config.network.front_for(config.physics.symbols) == "image"
    terms = {name: term for name, term in table.items() if name != "heat" or draws_map}
    teacher, networks = school.teacher(config), _networks(config, school)
    betas = (0.0, max(config.beta.start, config.beta.final) or _BETA)
    batches = degenerate_batches(config, scenes)
    findings: dict[tuple[str, str], Finding] = {}
    for name, batch in batches.items():
        sight = Sight(name, batch, teacher, terms)
        for network in networks:
            for beta in betas:
                found = {(each.term, each.batch): each for each in sight.findings(network, beta)}
                findings = found | findings
    return _reported(list(findings.values()), list(terms), list(batches))


@dataclass(frozen=True)
class Sight:
    """One batch, and how answers to it are marked."""

    name: str
    batch: Scenes
    teacher: Objective
    terms: Mapping[str, Term]

    def findings(self, network: Module, beta: float) -> Iterator[Finding]:
        """What is not sound of a network's answer."""
        try:
            guess = self._guess(network, beta)
        except _FAILURES as error:
            yield Finding(_ANSWER, self.name, "fails", str(error))
            return
        for name, term in self.terms.items():
            try:
                value = term(guess).mean()
                spoiled = _spoiled(value, network)
            except _FAILURES as error:
                yield Finding(name, self.name, "fails", str(error))
                continue
            if not bool(value.isfinite()):
                yield Finding(name, self.name, "value", "")
            elif spoiled:
                yield Finding(name, self.name, "gradient", ", ".join(spoiled[:3]))

    def _guess(self, network: Module, beta: float) -> PredictionPair:
        observation, target = self._looked_at
        return PredictionPair(network(observation, beta), target, self.teacher.settings)

    @cached_property
    def _looked_at(self) -> tuple[Observation, Target]:
        teacher, truth = self.teacher, self.batch.truth
        observation = teacher.observe(self.batch.frames)
        target = Target.of(
            teacher.panel, truth, observation.snr_db, teacher.alpha_base, teacher.label_power
        )
        return observation, target


def _spoiled(value: Tensor, network: Module) -> list[str]:
    """Parameters whose gradient of this value is not finite."""
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


def _networks(config: RunConfig, school: ProbeTrainer) -> tuple[Module, Module]:
    """One as a run starts with it, and one whose every weight was knocked."""
    started, knocked = school.begun(config), school.begun(config)
    with drawing(config.training.seed), torch.no_grad():
        for parameter in knocked.parameters():
            parameter.add_(_KNOCK * torch.randn_like(parameter))
    return started, knocked


def _reported(findings: list[Finding], terms: list[str], batches: list[str]) -> Report:
    cells = {(each.term, each.batch): each.fault for each in findings}
    failing = any(each.term == _ANSWER for each in findings)
    rows = tuple(
        (term, *(cells.get((term, batch), "finite") for batch in batches))
        for term in [*([_ANSWER] if failing else []), *terms]
    )
    count = float(len(findings))
    check = Requirement.at_most("terms that are not finite, over all batches", count, 0.0, "")
    said = [each.sentence for each in findings] or [
        f"All {len(terms)} terms and their gradients are finite on {len(batches)} batches."
    ]
    evidence = (check_table([check]), Table("terms by batch", ("term", *batches), rows))
    return Report("gradients", "fail" if findings else "pass", evidence, tuple(said))
