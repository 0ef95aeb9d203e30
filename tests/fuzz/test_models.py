"""Model folders: a model with a changed byte is refused, and a forged one is not believed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.registry.sealed_model import BUNDLE_PATH, MODEL, WEIGHTS, seal
from tests.support.fuzzing import (
    VALUES,
    Tally,
    damaged_bytes,
    document_paths,
    one_folder,
    planted,
)
from tests.support.models import arrays, model_in

pytestmark = pytest.mark.fault("F20")

BUNDLE = Path("model") / BUNDLE_PATH
BESIDE = ("MLmodel", "conda.yaml", "entry.py", "requirements.txt", "input_example.json")
"""Files of MLflow, which are not read here."""
PREDICT = "predict model frames.npz --json"
HEAD = 3000
"""Bytes of the weights that are damaged: their header, and the first numbers."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> None:
    model_in(tmp_path)
    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4


@one_folder
@given(st.sampled_from(("manifest.json", MODEL, WEIGHTS)), st.data())
def test_a_damaged_bundle(tally: Tally, name: str, data: st.DataObject) -> None:
    sound = (BUNDLE / name).read_bytes()
    content = data.draw(damaged_bytes(sound[:HEAD])) + sound[HEAD:]
    (BUNDLE / name).write_bytes(content)

    reply = tally.submit(PREDICT, [0 if content == sound else 2])

    (BUNDLE / name).write_bytes(sound)
    assert reply.code == 0 or str(BUNDLE) in reply.sentence


def test_other_files_beside_the_bundle(tally: Tally) -> None:
    for name in BESIDE:
        (Path("model") / name).write_bytes(b"\x00[")

        tally.submit(PREDICT, [0])


@one_folder
@given(st.data())
def test_forged_weights(tally: Tally, data: st.DataObject) -> None:
    """Their checksum is right, so that the command has to read them."""
    sound = {name: (BUNDLE / name).read_bytes() for name in (WEIGHTS, MODEL)}
    head = data.draw(damaged_bytes(sound[WEIGHTS][:HEAD]))
    seal(BUNDLE, {**sound, WEIGHTS: head + sound[WEIGHTS][HEAD:]})

    tally.submit(PREDICT)

    seal(BUNDLE, sound)


@one_folder
@given(st.data())
def test_a_forged_header(tally: Tally, data: st.DataObject) -> None:
    """Its checksum is right, so that the command has to read it."""
    sound = {name: (BUNDLE / name).read_bytes() for name in (WEIGHTS, MODEL)}
    tree = json.loads(sound[MODEL])
    planted(tree, data.draw(st.sampled_from(document_paths(tree))), data.draw(VALUES))
    seal(BUNDLE, {**sound, MODEL: json.dumps(tree).encode()})

    tally.submit(PREDICT)

    seal(BUNDLE, sound)
