"""Configuration files: whatever is in them, they are read, or refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.layers import load_config
from risexp.config.run import fields
from tests.support.fuzzing import (
    VALUES,
    WORDS,
    Tally,
    as_yaml,
    damaged_bytes,
    damaged_texts,
    one_folder,
)

pytestmark = pytest.mark.fault("F20")

SHOWN = "config show --preset smoke --config run.yaml --json"
WHOLE = as_yaml(load_config(preset="smoke").config.model_dump(mode="json"))


@one_folder
@given(damaged_texts(WHOLE))
def test_a_damaged_file(tally: Tally, text: str) -> None:
    Path("run.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")

    tally.submit(SHOWN)


@one_folder
@given(damaged_bytes(WHOLE.encode()) | st.binary(max_size=60))
def test_other_bytes(tally: Tally, content: bytes) -> None:
    Path("run.yaml").write_bytes(content)

    tally.submit(SHOWN)


@one_folder
@given(st.dictionaries(st.sampled_from(sorted(fields())) | WORDS, VALUES, min_size=1, max_size=3))
def test_other_values(tally: Tally, tree: dict[str, Any]) -> None:
    Path("run.yaml").write_text(as_yaml(tree), encoding="utf-8")

    reply = tally.submit(SHOWN)

    if reply.code == 0:
        Path("run.yaml").write_text(as_yaml(json.loads(reply.out)["config"]), encoding="utf-8")
        assert reply == tally.submit(SHOWN, [0])
