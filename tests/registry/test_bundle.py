"""A network on disk: what was shipped comes back bit for bit, or not at all."""

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from risexp.core import sealed as sealing
from risexp.core.durable import write_durably
from risexp.core.sealed import canonical_sha
from risexp.errors import CheckpointRefused, EnvironmentFailed, ModelRefused, RisexpError
from risexp.registry.bundle import MODEL, WEIGHTS, bundle_in, read_bundle, write_bundle
from risexp.registry.seal import MANIFEST, seal, unseal
from tests.support.models import bundle
from tests.support.trainers import same

CPU = torch.device("cpu")
FILES = (WEIGHTS, MODEL, MANIFEST)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(bundle(), folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_comes_back_as_it_was(folder: Path) -> None:
    written, found = bundle(), read_bundle(folder)

    assert same(written.weights, found.weights)
    assert replace(written, weights={}, scores={}) == replace(found, weights={}, scores={})
    assert 2.5 == found.scores["k_loc"]
    assert math.isnan(found.scores["range_rmse"])
    assert (written.config_sha, written.parameters) == (found.config_sha, found.parameters)


def test_what_a_person_wants_to_know_stands_in_a_file_that_can_be_read(folder: Path) -> None:
    told = json.loads((folder / MODEL).read_text(encoding="utf-8"))

    assert ("run-1", 3, 0.3, 1.5) == (
        told["run_id"],
        told["epoch"],
        told["beta"],
        told["temperature"],
    )
    assert bundle().config.sha() == told["config_sha"] == canonical_sha(told["config"])
    assert {"risexp", "torch"} == told["made_with"].keys()
    assert (
        sum(weight.numel() for weight in bundle().network(CPU).parameters()) == told["parameters"]
    )


def test_a_network_of_a_bundle_is_calibrated_and_ready(folder: Path) -> None:
    network = read_bundle(folder).network(CPU)

    assert 1.5 == network.law.temperature
    assert not network.training


def test_no_compiler_is_needed_to_answer() -> None:
    compiled = replace(bundle(), config=bundle().config.replace({"training.compile": True}))

    trunk = compiled.network(CPU).front.trunk

    assert trunk._compiled_call_impl is None


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused_in_every_file(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()

    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 2):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ModelRefused) as caught:
            read_bundle(folder)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert 2 == caught.value.exit_code


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_or_missing_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-7])
    with pytest.raises(ModelRefused, match=name):
        read_bundle(folder)

    (folder / name).unlink()
    with pytest.raises(ModelRefused, match=f"{name} is missing"):
        read_bundle(folder)


def test_nothing_is_understood_before_all_of_it_is_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "risexp.registry.bundle.safetensors.torch.load",
        lambda _: pytest.fail("weights that were not verified were read"),
    )
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"\x7f")

    with pytest.raises(ModelRefused, match="checksum"):
        read_bundle(folder)


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


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({MODEL: b"{}"}, "weights.safetensors is not in its manifest"),
        ({MODEL: b"{}", WEIGHTS: b""}, "model.json: "),
        ({MODEL: b"[", WEIGHTS: b""}, "model.json: "),
    ],
)
def test_a_sealed_folder_that_is_no_bundle_is_refused(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    seal(tmp_path / "b", files)

    with pytest.raises(ModelRefused, match=said):
        read_bundle(tmp_path / "b")


def test_a_hash_of_another_configuration_is_refused(folder: Path, tmp_path: Path) -> None:
    files, _ = unseal(folder)
    told = json.loads(files[MODEL])
    told["config"]["count"]["threshold"] = 0.4
    seal(tmp_path / "forged", {**files, MODEL: json.dumps(told).encode()})

    with pytest.raises(ModelRefused, match="states the hash of another configuration"):
        read_bundle(tmp_path / "forged")


def test_weights_that_are_none_are_refused(folder: Path, tmp_path: Path) -> None:
    files, _ = unseal(folder)
    seal(tmp_path / "forged", {**files, WEIGHTS: b"\x80\x04K\x01."})

    with pytest.raises(ModelRefused, match="cannot be read"):
        read_bundle(tmp_path / "forged")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("parameters", 7, r"holds [0-9]+ numbers, and model\.json states 7"),
        ("epoch", 0, "epoch"),
        ("run_id", "../run-1", "'../run-1' is no name of a run"),
    ],
)
def test_what_a_model_says_of_itself_has_to_be_possible(
    folder: Path, tmp_path: Path, field: str, value: object, said: str
) -> None:
    files, _ = unseal(folder)
    told = {**json.loads(files[MODEL]), field: value}
    seal(tmp_path / "forged", {**files, MODEL: json.dumps(told).encode()})

    with pytest.raises(ModelRefused, match=said):
        read_bundle(tmp_path / "forged")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    name, weight = next(iter(bundle().weights.items()))
    lost = {**bundle().weights, name: torch.full_like(weight, math.nan)}
    write_bundle(replace(bundle(), weights=lost), tmp_path / "b")

    with pytest.raises(ModelRefused, match=f"{name} holds a value that is not finite"):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_not_read_before_its_size_is_known(folder: Path, name: str) -> None:
    os.truncate(folder / name, 1 << 40)
    with pytest.raises(ModelRefused, match=f"{name} (has 1099511627776 bytes|is no manifest)"):
        read_bundle(folder)

    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelRefused, match=f"{name} is no plain file"):
        read_bundle(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{}", b"[" * 100_000, b'{"digest": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: bytes) -> None:
    (folder / MANIFEST).write_bytes(text)

    with pytest.raises(ModelRefused, match="manifest"):
        unseal(folder)


def test_a_name_that_leads_elsewhere_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    document = json.loads(text.replace(MODEL, "../model.json"))
    del document["digest"]
    whole = {**document, "digest": canonical_sha(document)}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=1), encoding="utf-8")

    with pytest.raises(ModelRefused, match="pattern"):
        unseal(folder)


def test_the_digest_tells_one_content_from_another(folder: Path, tmp_path: Path) -> None:
    _, digest = unseal(folder)

    assert digest == write_bundle(bundle(), tmp_path / "again")
    assert digest != write_bundle(replace(bundle(), beta=0.31), tmp_path / "other")


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def noted(path: Path, content: bytes) -> None:
        written.append(path.name)
        write_durably(path, content)

    monkeypatch.setattr(sealing, "write_durably", noted)

    write_bundle(bundle(), tmp_path / "b")

    assert [MANIFEST] == written[-1:]
    assert {WEIGHTS, MODEL} == set(written[:-1])


def test_a_full_disk_is_a_failure_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(sealing, "write_durably", full)

    with pytest.raises(EnvironmentFailed, match="No space left on device") as caught:
        write_bundle(bundle(), tmp_path / "b")
    assert isinstance(caught.value, RisexpError)
    assert 1 == caught.value.exit_code


def test_a_bundle_is_found_by_its_own_folder_alone(folder: Path) -> None:
    assert folder == bundle_in(folder)
    assert bundle_in(folder.parent) is None
    assert bundle_in(folder / MODEL) is None
