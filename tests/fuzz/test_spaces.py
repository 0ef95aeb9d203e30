"""Search spaces: whatever is in their files, they are read, or refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.run import fields
from risexp.config.yaml import read_yaml
from risexp.space.files import space_paths
from tests.support.fuzzing import (
    NUMBERS,
    VALUES,
    WORDS,
    Tally,
    as_yaml,
    damaged_texts,
    one_folder,
)

pytestmark = pytest.mark.fault("F20")

SMOKE = read_yaml(space_paths()["smoke"])
KINDS = ("uniform", "log", "int", "choice", "tpe", "random", "grid", "median", "hyperband", "none")
DIMENSIONS = st.dictionaries(
    st.sampled_from(("kind", "low", "high", "options", "when", "step", "start")),
    st.sampled_from(KINDS) | NUMBERS | st.lists(NUMBERS, max_size=3) | VALUES,
    max_size=5,
)


def other_spaces() -> st.SearchStrategy[dict[str, Any]]:
    """The space `smoke`, with parts of it replaced."""
    paths = st.sampled_from(sorted(fields()))
    vary = st.dictionaries(paths, DIMENSIONS, max_size=3)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "base": st.sampled_from((None, "smoke", "small", "nowhere")) | VALUES,
        "trials": NUMBERS | VALUES,
        "fixed": st.dictionaries(paths | WORDS, VALUES, max_size=2),
        "start": st.dictionaries(paths | WORDS, VALUES, max_size=2),
        "vary": vary,
        "stages": st.dictionaries(WORDS, vary, max_size=2),
        "forbid": st.lists(st.dictionaries(paths, VALUES, max_size=2), max_size=2),
        "sampler": DIMENSIONS,
        "pruner": DIMENSIONS,
        "keep": st.dictionaries(st.sampled_from(("k_loc", "k_acc", "x")), NUMBERS),
    }
    changes = st.fixed_dictionaries({}, optional=parts)
    return changes.map(lambda change: {**SMOKE, **change})


@one_folder
@given(damaged_texts(as_yaml(SMOKE)))
def test_a_damaged_file(tally: Tally, text: str) -> None:
    Path("own.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")

    tally.submit("space show own.yaml --json")


@one_folder
@given(other_spaces())
def test_other_parts(tally: Tally, tree: dict[str, Any]) -> None:
    Path("own.yaml").write_text(as_yaml(tree), encoding="utf-8")

    shown = tally.submit("space show own.yaml --json")
    checked = tally.submit("space check own.yaml --json")

    if shown.code == 0 or checked.code == 0:
        assert 0 == shown.code
    if checked.code == 0:
        json.loads(checked.out)
