"""A network on disk: what was shipped comes back bit for bit, or not at all."""

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from risexp.core.sealed import canonical_sha
from risexp.errors import CheckpointRefused, EnvironmentFailed, ModelRefused
from risexp.registry.sealed_model import (
    MANIFEST,
    MODEL,
    WEIGHTS,
    read_bundle,
    seal,
    unseal,
    write_bundle,
)
from tests.support.models import CPU, bundle
from tests.support.trainers import same

FILES = (WEIGHTS, MODEL, MANIFEST)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(bundle(), folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "bundle"))


def forged(folder: Path, **files: bytes) -> Path:
    """The same bundle with other files, sealed again."""
    content, _ = unseal(folder)
    names = {"weights": WEIGHTS, "model": MODEL}
    place = folder.parent / "forged"
    seal(place, content | {names[name]: text for name, text in files.items()})
    return place


def edited(folder: Path, **fields: object) -> Path:
    """The same bundle with other fields in its header, sealed again."""
    header = json.loads((folder / MODEL).read_bytes()) | fields
    return forged(folder, model=json.dumps(header).encode())


def test_a_bundle_comes_back_as_it_was_and_people_can_read_its_header(folder: Path) -> None:
    written, read = bundle(), read_bundle(folder)

    assert same(written.weights, read.weights)
    assert replace(written, weights={}, scores={}) == replace(read, weights={}, scores={})
    assert 2.5 == read.scores["k_loc"]
    assert math.isnan(read.scores["range_rmse"])
    assert (written.config_sha, written.parameters) == (read.config_sha, read.parameters)
    header = json.loads((folder / MODEL).read_text(encoding="utf-8"))
    assert ("run-1", 3, 0.3, 1.5) == tuple(
        header[name] for name in ("run_id", "epoch", "beta", "temperature")
    )
    assert bundle().config.sha() == header["config_sha"] == canonical_sha(header["config"])
    assert {"risexp", "torch"} == header["made_with"].keys()
    weights = bundle().network(CPU).parameters()
    assert sum(weight.numel() for weight in weights) == header["parameters"]


def test_a_network_of_a_bundle_is_calibrated_ready_and_not_compiled(folder: Path) -> None:
    read = read_bundle(folder)
    compiled = replace(read, config=read.config.replace({"training.compile": True}))

    network = compiled.network(CPU)

    assert 1.5 == network.law.temperature
    assert not network.training
    assert network.front.trunk._compiled_call_impl is None


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_changed_or_missing_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 3] ^= 1

    path.write_bytes(changed)
    with pytest.raises(ModelRefused, match=name) as caught:
        read_bundle(folder)
    path.unlink()
    with pytest.raises(ModelRefused, match=f"{name} is missing"):
        read_bundle(folder)

    assert "\n" not in str(caught.value)


def test_no_weights_are_parsed_before_all_bytes_are_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "risexp.registry.sealed_model.safetensors.torch.load",
        lambda _: pytest.fail("weights that were not verified were read"),
    )
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"\x7f")

    with pytest.raises(ModelRefused, match="checksum"):
        read_bundle(folder)


def test_a_bundle_that_was_sealed_again_with_other_content_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    header = json.loads((folder / MODEL).read_bytes())
    config = {**header["config"], "count": {**header["config"]["count"], "threshold": 0.4}}
    name, weight = next(iter(bundle().weights.items()))
    nan = {**bundle().weights, name: torch.full_like(weight, math.nan)}
    write_bundle(replace(bundle(), weights=nan), tmp_path / "nan")
    seal(tmp_path / "half", {MODEL: b"{}"})

    cases: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("weights.safetensors is not in its manifest", lambda: tmp_path / "half"),
        ("model.json: ", lambda: forged(folder, model=b"{}")),
        ("model.json: ", lambda: forged(folder, model=b"[")),
        ("cannot be read", lambda: forged(folder, weights=b"\x80\x04K\x01.")),
        ("states the hash of another configuration", lambda: edited(folder, config=config)),
        ("numbers, and model.json states 7", lambda: edited(folder, parameters=7)),
        ("epoch", lambda: edited(folder, epoch=0)),
        ("'../run-1' is no name of a run", lambda: edited(folder, run_id="../run-1")),
        (f"{name} holds a value that is not finite", lambda: tmp_path / "nan"),
    )
    refused: dict[str, str] = {}
    for said, place in cases:
        with pytest.raises(ModelRefused) as caught:
            read_bundle(place())
        if said not in str(caught.value):
            refused[said] = str(caught.value)

    assert {} == refused


def test_a_model_of_a_version_with_other_fields_names_that_version(tmp_path: Path) -> None:
    other = replace(
        bundle(), tree={**bundle().tree, "magic": {}}, made_with={"risexp": "9.1", "torch": "3"}
    )
    write_bundle(other, tmp_path / "b")

    with pytest.raises(ModelRefused, match=r"was made by risexp 9\.1, and this is"):
        read_bundle(tmp_path / "b")


def test_weights_of_another_network_are_refused() -> None:
    wider = bundle().config.replace({"network.width": 32})

    with pytest.raises(CheckpointRefused, match="averaged weights"):
        replace(bundle(), config=wider).predictor(CPU)


def test_the_digest_tells_one_content_from_another(folder: Path, tmp_path: Path) -> None:
    _, digest = unseal(folder)

    assert digest == write_bundle(bundle(), tmp_path / "again")
    assert digest != write_bundle(replace(bundle(), beta=0.31), tmp_path / "other")


def test_a_file_name_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    document = json.loads((folder / MANIFEST).read_text(encoding="utf-8").replace(MODEL, "../m.js"))
    del document["digest"]
    signed = {**document, "digest": canonical_sha(document)}
    (folder / MANIFEST).write_text(json.dumps(signed, indent=1), encoding="utf-8")

    with pytest.raises(ModelRefused, match="pattern"):
        unseal(folder)


def test_a_full_disk_is_a_failure_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(EnvironmentFailed, match="No space left on device"):
        write_bundle(bundle(), tmp_path / "b")
    assert not (tmp_path / "b" / MANIFEST).exists()
