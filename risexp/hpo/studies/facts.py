"""A study's charter among its facts, so that whoever joins knows what its trials share."""

from collections.abc import Mapping
from typing import Any, Final

from risexp.errors import DataInvalid
from risexp.space.study_spec import Charter

CHARTER: Final = "charter"
"""The fact of a study that holds it."""


def facts_of(charter: Charter) -> dict[str, Any]:
    """What a study cannot change once it has begun."""
    return {CHARTER: charter.as_json()}


def charter_of(study: str, facts: Mapping[str, Any]) -> Charter:
    """The charter that a study was begun with.

    Raises:
        DataInvalid: It has none, or this version of risexp makes another configuration of it.
    """
    if CHARTER not in facts:
        raise DataInvalid(f"study {study} holds no record of its space: it is no search of risexp")
    return Charter.from_json(facts[CHARTER], f"study {study}")
