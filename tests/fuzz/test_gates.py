"""Gates: whatever is in their files, they are read, or refused in one sentence."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.gates import load_gates
from tests.support.fuzzing import NUMBERS, VALUES, Tally, as_yaml, damaged_texts, one_folder

pytestmark = pytest.mark.fault("F20")

DEFAULT = load_gates("default").model_dump(mode="json", exclude={"name", "about"})
PROMOTE = "promote --run nothing --gates own.yaml"


def submit(tally: Tally) -> None:
    """Gates are read before the run, which is missing: the sentence is about either."""
    sentence = tally.submit(PROMOTE, [2]).sentence

    assert "own.yaml" in sentence or "there is no run 'nothing'" in sentence


@one_folder
@given(damaged_texts(as_yaml(DEFAULT)))
def test_a_damaged_file(tally: Tally, text: str) -> None:
    Path("own.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")

    submit(tally)


@st.composite
def other_gates(draw: st.DrawFn) -> dict[str, Any]:
    """The default gates, of which some values are others."""
    tree: dict[str, Any] = dict(DEFAULT)
    for section in ("candidate", "champion", "nomp"):
        keys = st.sampled_from((*DEFAULT[section], "unknown"))
        tree[section] = {**DEFAULT[section], **draw(st.dictionaries(keys, NUMBERS, max_size=2))}
    keys = st.sampled_from((*DEFAULT, "name", "about"))
    return {**tree, **draw(st.dictionaries(keys, VALUES, max_size=1))}


@one_folder
@given(other_gates())
def test_other_values(tally: Tally, tree: dict[str, Any]) -> None:
    Path("own.yaml").write_text(as_yaml(tree), encoding="utf-8")

    submit(tally)
