"""Which parameters are backbone and which are heads: every trainable one exactly once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from torch.nn import Module, Parameter

from risexp.config.training import Part
from risexp.training.plan import PARTS

Parts = Mapping[Part, Mapping[str, Parameter]]
"""Trainable parameters by part and name."""


def parts_of(network: Module, part_of: Callable[[str], Part], balance: Module) -> Parts:
    """The trainable parameters of a run.

    Args:
        network: Any module.
        part_of: Says for each of its parameters, by name, which part it belongs to.
        balance: How terms are weighed; what it learns is part of the heads, as `balance.<name>`.
    """
    parts: dict[Part, dict[str, Parameter]] = {part: {} for part in PARTS}
    for name, parameter in _trainable(network):
        parts[part_of(name)][name] = parameter
    for name, parameter in _trainable(balance):
        parts["heads"][f"balance.{name}"] = parameter
    return parts


def expect_each_once(modules: Iterable[Module], grouped: Iterable[Parameter]) -> None:
    """Check that groups hold every trainable parameter of some modules exactly once.

    Raises:
        ValueError: One is in no group, in two, or of another module.
    """
    left = {id(each): name for module in modules for name, each in _trainable(module)}
    for parameter in grouped:
        if left.pop(id(parameter), None) is None:
            message = "a parameter is in two groups of the optimizer, or belongs to no network"
            raise ValueError(message)
    if left:
        message = f"{min(left.values())} is trainable and in no group of the optimizer"
        raise ValueError(message)


@contextmanager
def held(parts: Parts, frozen: Iterable[Part]) -> Iterator[None]:
    """Take gradients from whole parts for a while: no step, no moment of Adam touches them."""
    parameters = [each for part in frozen for each in parts.get(part, {}).values()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _trainable(module: Module) -> list[tuple[str, Parameter]]:
    return [(name, each) for name, each in module.named_parameters() if each.requires_grad]
