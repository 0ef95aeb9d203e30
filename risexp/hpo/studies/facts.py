"""A study's charter among its facts, so that whoever joins knows what its trials share."""

from collections.abc import Mapping
from typing import Any, Final

from risexp.errors import DataInvalid
from risexp.space.study_spec import StudySpec

CHARTER: Final = "charter"
"""The fact of a study that holds it."""


def facts_from_spec(charter: StudySpec) -> dict[str, Any]:
    """What a study cannot change once it has begun."""
    return {CHARTER: charter.as_json()}


def spec_from_facts(study: str, facts: Mapping[str, Any]) -> StudySpec:
    """The charter that a study was begun with.

    Raises:
        DataInvalid: It has none, or this version of risexp makes another configuration of it.
    """
    if CHARTER not in facts:
        raise DataInvalid(f"study {study} holds no record of its space: it is no search of risexp")
    return StudySpec.from_json(facts[CHARTER], f"study {study}")
