"""A configuration: changes, validation and descriptions."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig, describe, fields
from risexp.config.section import Section
from tests.support.configs import ANOTHER, refusal


def test_a_configuration_survives_its_own_json() -> None:
    config = RunConfig().replace(ANOTHER)

    assert config == RunConfig.model_validate_json(config.model_dump_json())


@given(st.sets(st.sampled_from(sorted(ANOTHER))))
def test_replace_changes_what_it_was_told_and_nothing_else(paths: set[str]) -> None:
    before = RunConfig().replace({"network.front": "image"})

    after = before.replace({path: ANOTHER[path] for path in paths - {"network.front"}})

    changed = {path for path, value in after.flat().items() if value != before.flat()[path]}
    assert paths - {"network.front"} == changed


def test_replace_validates_the_whole_and_leaves_the_original_untouched() -> None:
    panel = {"physics.elements_h": 24, "physics.elements_v": 24}
    original = RunConfig()

    larger = original.replace(panel | {"physics.antennas": 36})

    assert "equations" in refusal(panel)
    assert 576 == larger.physics.elements
    assert RunConfig() == original


def test_replace_refuses_an_unknown_path_with_the_right_name() -> None:
    message = refusal({"physics.elements": 12})

    assert "there is no field 'physics.elements'; did you mean physics.elements_" in message
    assert "there is no field 'zzz'; risexp config show lists all" == refusal({"zzz": 1})


def test_sections_are_frozen() -> None:
    for section in ["physics", "data", "sampled", "covariance"]:
        config = RunConfig()
        part: Section = getattr(config, section)
        name = next(iter(type(part).model_fields))

        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, getattr(part, name))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, section, part)


def test_every_field_has_a_description() -> None:
    for path in fields():
        description = describe(path)

        assert len(description.split()) >= 3, path
        assert description.endswith("."), path
        assert "\n" not in description, path


def test_a_term_is_described_in_the_same_words_in_every_phase() -> None:
    for section, term in product(
        ["loss", "curriculum.geometry", "curriculum.count"], LossWeights.model_fields
    ):
        assert (
            LossWeights.model_fields[term].description == fields()[f"{section}.{term}"].description
        ), section


def test_the_json_schema_describes_fields_and_refuses_unknown_names() -> None:
    schema = RunConfig.model_json_schema()
    seed = schema["$defs"]["DataConfig"]["properties"]["seed"]

    assert describe("data.seed") == seed["description"]
    assert all(not part["additionalProperties"] for part in (schema, *schema["$defs"].values()))
