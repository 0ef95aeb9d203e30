"""The folder of a deployment: complete or absent, with secrets that only their owner can read."""

import errno
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from risexp.app.deploy import folder as deploy
from risexp.app.deploy.folder import Deployment, secret_files, write_deployment
from risexp.config.yaml import read_yaml
from risexp.errors import EnvironmentFailed, InvalidInput

RANDOM = re.compile(r"\b[0-9a-f]{48}\b")


@pytest.fixture(scope="module")
def made(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment; this file copies the wheel in place of building it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deploy, "write_wheel", lambda folder: shutil.copy(built, folder))
        yield write_deployment(tmp_path_factory.mktemp("there") / "ris", ["RIS.example.org"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_compose_names_exists(made: Deployment) -> None:
    compose = read_yaml(made.folder / "compose.yaml")
    services = compose["services"]
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    named = [mount.split(":")[0] for mount in mounts]
    named += [secret["file"] for secret in compose["secrets"].values()]
    named += [services["init"]["build"]["context"]]

    assert len(named) > 15
    assert [] == [name for name in named if not (made.folder / name).exists()]
    assert 1 == len(list((made.folder / "image").glob("risexp-*.whl")))


def test_every_setting_that_compose_needs_has_a_value(made: Deployment) -> None:
    text = (made.folder / "compose.yaml").read_text("utf-8")
    lines = (made.folder / ".env").read_text("utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    needed = set(re.findall(r"\$\{(\w+):\?\}", text))

    assert len(needed) > 8
    assert set(re.findall(r"\$\{(\w+)", text)) == settings.keys()
    assert [] == [name for name in needed if not settings[name]]
    assert "ris.example.org" == settings["RISEXP_HOSTS"]


def test_secrets_and_data_are_for_their_owner_alone(made: Deployment) -> None:
    files = [*(made.folder / "secrets").iterdir()]
    folders = [made.folder / name for name in ("secrets", "data", *deploy.DATA)]

    assert set(made.secrets) == {path.name for path in files}
    assert {0o600} == {mode(path) for path in files}
    assert {0o700} == {mode(path) for path in folders}


def test_services_are_never_root_and_own_what_they_read(made: Deployment) -> None:
    owner, group = map(int, made.user.split(":"))
    paths = [path for name in ("secrets", "data") for path in (made.folder / name).rglob("*")]

    assert owner != 0
    assert {(owner, group)} == {(path.stat().st_uid, path.stat().st_gid) for path in paths}
    assert f":{owner}:{group}:" in (made.folder / "passwd").read_text("utf-8")


def test_secrets_are_only_in_their_files(made: Deployment) -> None:
    secrets = {
        secret
        for path in (made.folder / "secrets").iterdir()
        for secret in RANDOM.findall(path.read_text("utf-8"))
    }
    others = [path for path in made.folder.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in others if path.parent.name != "secrets"]

    assert 7 == len(secrets)
    assert len(contents) > 8
    assert [] == [
        secret for secret in secrets if any(secret.encode() in content for content in contents)
    ]
    assert [] == [secret for secret in secrets if secret in str(made.as_json())]


def test_no_two_deployments_have_a_secret_in_common() -> None:
    first, second = (set(RANDOM.findall(str(secret_files()))) for _ in range(2))

    assert 7 == len(first)
    assert first.isdisjoint(second)


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".env").write_text("mine")
    (tmp_path / "folder" / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    before = sorted(tmp_path.rglob("*"))
    for name in ("hidden", "folder", "link"):
        with pytest.raises(InvalidInput, match="is not empty, and nothing in it is overwritten"):
            write_deployment(tmp_path / name, [])
    assert before == sorted(tmp_path.rglob("*"))


def test_a_place_that_cannot_hold_the_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    for place, said in (
        (Path(), "give the command one level above"),
        (tmp_path / "file", "is no folder to write to"),
        (tmp_path / "none" / "ris", "make it first"),
    ):
        with pytest.raises(InvalidInput, match=said):
            write_deployment(place, [])
    with pytest.raises(EnvironmentFailed, match="cannot write /proc/ris"):
        write_deployment(Path("/proc/ris"), [])

    assert [tmp_path / "file", tmp_path / "here"] == sorted(tmp_path.rglob("*"))


@pytest.mark.usefixtures("made")
def test_an_empty_folder_is_filled_independent_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "my ris; no").mkdir()
    before = os.umask(0o077)
    try:
        made = write_deployment(tmp_path / "my ris; no", [])
    finally:
        os.umask(before)

    assert (made.folder / "compose.yaml").is_file()
    assert {0o755} == {mode(made.folder), mode(made.folder / "image")}
    assert [made.folder] == [*tmp_path.iterdir()]
    assert ["cd", str(made.folder)] == shlex.split(made.next()[0])


@pytest.mark.usefixtures("made")
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.fsync
    for survived in (0, 1, 9, 15):
        left = iter(range(survived))

        def full(descriptor: int, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            plain(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(EnvironmentFailed, match="No space left on device"):
            write_deployment(tmp_path / "ris", [])
        assert [] == [*tmp_path.iterdir()]


def test_invalid_host_names_are_refused(tmp_path: Path) -> None:
    for name in ["*.example.org", "http://ris", "ris:5000", "a b", "-ris", "ris\nX=1", "", "ris."]:
        with pytest.raises(InvalidInput, match="is no host name"):
            write_deployment(tmp_path / "ris", [name])
    assert [] == [*tmp_path.iterdir()]
