"""Frozen sets: a changed byte is found, and a forged one is not believed."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from risexp.core.sealed import sha256_of
from tests.support.frozen_sets import frozen, request_of, sealed
from tests.support.fuzzing import (
    VALUES,
    Tally,
    damaged_bytes,
    damaged_texts,
    document_paths,
    one_folder,
    planted,
)

pytestmark = pytest.mark.fault("F20")

ARRAY_PATHS = tuple(
    f"shard-00000/{name}.npy"
    for name in ("y", "channel", "codes", "snr_db", "count", "phi_rad", "noise_power", "symbols")
)
CUT = 400
"""Bytes of an array that are damaged: its header, and the first numbers."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen") / "set"
    frozen(folder, request_of(scenes=2))
    return folder


@pytest.fixture(autouse=True)
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "set"))


@one_folder
@given(st.sampled_from(ARRAY_PATHS), st.data())
def test_a_damaged_array(tally: Tally, template: Path, name: str, data: st.DataObject) -> None:
    path, sound = Path("set") / name, (template / name).read_bytes()
    path.write_bytes(data.draw(damaged_bytes(sound[:CUT])) + sound[CUT:])
    damaged = path.read_bytes() != sound

    tally.submit("data verify set", [4 if damaged else 0])
    if damaged:
        tally.submit("show scene set --json", [2])

    path.write_bytes(sound)


@one_folder
@given(st.data())
def test_a_damaged_manifest(tally: Tally, template: Path, data: st.DataObject) -> None:
    sound = (template / "manifest.json").read_text(encoding="utf-8")
    text = data.draw(damaged_texts(sound))
    Path("set/manifest.json").write_text(text, encoding="utf-8", errors="surrogatepass")

    tally.submit("data verify set", [0, 2, 4])


@one_folder
@given(st.data())
def test_other_values_in_a_manifest(tally: Tally, template: Path, data: st.DataObject) -> None:
    tree = json.loads((template / "manifest.json").read_bytes())
    planted(tree, data.draw(st.sampled_from(document_paths(tree))), data.draw(VALUES))
    Path("set/manifest.json").write_text(json.dumps(tree), encoding="utf-8")

    tally.submit("data verify set", [0, 2, 4])


@one_folder
@given(st.sampled_from(ARRAY_PATHS), st.data())
def test_a_forged_array(tally: Tally, template: Path, name: str, data: st.DataObject) -> None:
    """Its checksum is right, so that the command has to read it."""
    sound = (template / name).read_bytes()
    other = io.BytesIO()
    shape = np.load(template / name).shape
    kinds = arrays_of.floating_dtypes(endianness="=") | arrays_of.complex_number_dtypes()
    array = data.draw(st.none() | arrays_of.arrays(kinds, st.just(shape) | st.just((2,))))
    if array is None:
        other.write(data.draw(damaged_bytes(sound[:CUT])) + sound[CUT:])
    else:
        np.save(other, array)
    (Path("set") / name).write_bytes(other.getvalue())
    tree = json.loads((template / "manifest.json").read_bytes())
    field = Path(name).stem
    tree["shards"][0]["files"][field]["sha256"] = sha256_of(Path("set") / name)
    tree["digest"] = sealed(tree)
    Path("set/manifest.json").write_text(json.dumps(tree), encoding="utf-8")

    tally.submit("data verify set", [0, 4])

    shutil.copyfile(template / name, Path("set") / name)
