"""Sealed files: manifests written by earlier versions stay readable, and damage is named."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from risexp.core.sealed import Seal, SealedFile, SealedPart, canonical_sha, sha256_of
from risexp.data.manifest import read_manifest as read_set
from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.registry.sealed_model import seal, unseal
from risexp.training.checkpoint_manifest import commit
from risexp.training.checkpoint_manifest import read_manifest as read_checkpoint

BEFORE = Path(__file__).parent / "sealed_before"
"""A model, a checkpoint and a frozen set whose manifests an earlier version wrote."""


class Parts(SealedPart):
    files: list[SealedFile]


SEAL = Seal(Parts, "manifest of parts", DataInvalid, lambda _: "other fields", ": copy it again")


def sealed(folder: Path) -> Path:
    parts = Parts(files=[SealedFile.of("a.bin", b"abc"), SealedFile.of("b.bin", b"")])
    SEAL.write(folder / "parts.json", parts, {"a.bin": b"abc", "b.bin": b""})
    return folder / "parts.json"


def opened(path: Path) -> list[bytes]:
    manifest, _ = SEAL.read(path)
    return [SEAL.verified(path.parent / each.name, each) for each in manifest.files]


def test_what_was_sealed_before_is_read_and_written_again_byte_for_byte(tmp_path: Path) -> None:
    files, digest = unseal(BEFORE / "model")
    checkpoint, frozen = read_checkpoint(BEFORE / "checkpoint", 7), read_set(BEFORE / "set")

    commit(tmp_path, checkpoint, {})

    assert digest == seal(tmp_path, files)
    assert ["model.json", "weights.safetensors"] == list(files)
    assert ("train-1", None, 3) == (
        checkpoint.run_id,
        checkpoint.best_epoch,
        checkpoint.tensors.size,
    )
    assert (3, "test", (3, 1, 2)) == (
        frozen.scenes,
        frozen.split,
        frozen.shards[0].files["y"].shape,
    )
    again = [
        (tmp_path / "manifest.json").read_bytes(),
        (tmp_path / "epoch-000007.manifest.json").read_bytes(),
        json.dumps(frozen.model_dump(mode="json"), indent=1).encode(),
    ]
    folders = (BEFORE / kind for kind in ("model", "checkpoint", "set"))
    assert [path.read_bytes() for each in folders for path in each.glob("*manifest.json")] == again


def test_what_was_sealed_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    path = sealed(tmp_path / "new" / "folder")

    assert [b"abc", b""] == opened(path)
    (tmp_path / "a").write_bytes(b'{"a":1,"b":[2.5,null]}')
    assert sha256_of(tmp_path / "a") == canonical_sha({"b": [2.5, None], "a": 1})
    assert [0o600] * 3 == [each.stat().st_mode & 0o777 for each in path.parent.iterdir()]


def rewritten(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"abc", b"xyz"))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        ("parts.json", Path.unlink, "is missing: copy it again"),
        ("parts.json", lambda path: path.write_text("[1]"), "is no manifest of parts"),
        ("parts.json", lambda path: path.write_text("[" * 5000), "is no manifest of parts"),
        ("parts.json", lambda path: path.write_bytes(bytes(2 << 20)), "is no manifest of parts"),
        (
            "parts.json",
            lambda path: path.write_text(path.read_text().replace("3", "4")),
            "was changed after it was written: copy it again",
        ),
        ("a.bin", lambda path: path.write_bytes(b"ab"), "has 2 bytes, and 3 were written: copy"),
        ("a.bin", rewritten, "does not have the checksum it was written with: copy it again"),
        ("a.bin", Path.unlink, "is missing: copy it again"),
        ("b.bin", a_pipe, "is no plain file: copy it again"),
    ],
)
def test_damage_is_named(
    tmp_path: Path, name: str, damage: Callable[[Path], object], sentence: str
) -> None:
    path = sealed(tmp_path)
    damage(tmp_path / name)

    with pytest.raises(DataInvalid) as caught:
        opened(path)

    assert str(caught.value).startswith(f"{tmp_path / name} {sentence}")


def test_a_manifest_of_other_fields_is_refused_though_its_digest_is_right(tmp_path: Path) -> None:
    class Other(SealedPart):
        names: list[str]

    path = tmp_path / "parts.json"
    Seal(Other, "", DataInvalid, str).write(path, Other(names=["a"]), {})

    with pytest.raises(DataInvalid, match="other fields"):
        SEAL.read(path)


def test_an_unreadable_file_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sealed(tmp_path)

    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)

    with pytest.raises(EnvironmentFailed, match=r"cannot read .*parts\.json: Permission denied"):
        SEAL.read(path)
