"""The folder of a deployment: whole or not there, with secrets that nobody else can read."""

import base64
import errno
import hashlib
import os
import re
import shlex
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from risexp.app.deploy import folder as deploy
from risexp.app.deploy import wheel
from risexp.app.deploy.folder import Deployment, write_deployment
from risexp.app.deploy.passwords import secret_files, verifier
from risexp.config.yaml import read_yaml
from risexp.errors import EnvironmentFailed, InvalidInput

RANDOM = re.compile(r"\b[0-9a-f]{48}\b")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return write_deployment(tmp_path_factory.mktemp("there") / "ris", ["RIS.example.org"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_compose_names_is_there(made: Deployment) -> None:
    told = read_yaml(made.folder / "compose.yaml")
    mounts = [each for service in told["services"].values() for each in service.get("volumes", [])]
    named = [each.split(":")[0] for each in mounts]
    named += [each["file"] for each in told["secrets"].values()]
    named += [told["services"]["init"]["build"]["context"]]

    assert len(named) > 15
    assert [] == [name for name in named if not (made.folder / name).exists()]


def test_every_setting_that_compose_needs_is_there(made: Deployment) -> None:
    text = (made.folder / "compose.yaml").read_text("utf-8")
    lines = (made.folder / ".env").read_text("utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    needed = set(re.findall(r"\$\{(\w+):\?\}", text))

    assert len(needed) > 8
    assert set(re.findall(r"\$\{(\w+)", text)) == settings.keys()
    assert [] == [name for name in needed if not settings[name]]
    assert settings["RISEXP_HOSTS"] == "ris.example.org"


def test_secrets_and_data_are_for_their_owner_alone(made: Deployment) -> None:
    files = [*(made.folder / "secrets").iterdir()]
    folders = [made.folder / name for name in ("secrets", "data", *deploy.DATA)]

    assert {path.name for path in files} == set(made.secrets)
    assert {0o600} == {mode(path) for path in files}
    assert {0o700} == {mode(path) for path in folders}


def test_services_are_never_root_and_own_what_they_read(made: Deployment) -> None:
    owner, group = map(int, made.user.split(":"))
    paths = [each for name in ("secrets", "data") for each in (made.folder / name).rglob("*")]

    assert owner != 0
    assert {(owner, group)} == {(path.stat().st_uid, path.stat().st_gid) for path in paths}
    assert f":{owner}:{group}:" in (made.folder / "passwd").read_text("utf-8")


def test_secrets_are_nowhere_but_in_their_files(made: Deployment) -> None:
    secrets = {
        found
        for path in (made.folder / "secrets").iterdir()
        for found in RANDOM.findall(path.read_text("utf-8"))
    }
    others = [path for path in made.folder.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in others if path.parent.name != "secrets"]

    assert len(secrets) == 7
    assert len(contents) > 8
    assert [] == [each for each in secrets if any(each.encode() in text for text in contents)]
    assert [] == [each for each in secrets if each in str(made.as_json())]


def test_no_two_deployments_have_a_secret_in_common() -> None:
    first, second = (set(RANDOM.findall(str(secret_files()))) for _ in range(2))

    assert len(first) == 7
    assert first.isdisjoint(second)


def test_the_database_is_given_proofs_of_passwords_and_no_password() -> None:
    files = secret_files()

    assert RANDOM.findall(files["roles.sql"]) == []
    assert files["roles.sql"].count("SCRAM-SHA-256$4096:") == 3


def test_a_proof_is_that_of_the_standard() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")  # the example of RFC 7677

    assert verifier("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize("what", ["file", "hidden file", "folder", "link"])
def test_what_is_there_is_left_as_it_is(what: str, tmp_path: Path) -> None:
    place = tmp_path / "ris"
    match what:
        case "link":
            (tmp_path / "other").mkdir()
            place.symlink_to(tmp_path / "other")
        case "folder":
            (place / "data").mkdir(parents=True)
        case _:
            place.mkdir()
            (place / (".env" if what == "hidden file" else "notes")).write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(InvalidInput, match="is not empty, and nothing in it is overwritten"):
        write_deployment(place, [])

    assert before == sorted(tmp_path.rglob("*"))


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "ris").mkdir()

    made = write_deployment(tmp_path / "ris", [])

    assert (made.folder / "compose.yaml").is_file()
    assert [tmp_path / "ris"] == [*tmp_path.iterdir()]


def test_the_folder_of_the_command_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ris").mkdir()
    monkeypatch.chdir(tmp_path / "ris")

    with pytest.raises(InvalidInput, match="give the command one level above"):
        write_deployment(Path(), [])

    assert [] == [*Path.cwd().iterdir()]


def test_folders_of_the_image_are_read_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = write_deployment(tmp_path / "ris", [])
    finally:
        os.umask(before)

    assert {0o755} == {mode(made.folder), mode(made.folder / "image")}


def test_the_next_command_can_be_given_as_it_is(tmp_path: Path) -> None:
    made = write_deployment(tmp_path / "my ris; no", [])

    assert ["cd", str(made.folder)] == shlex.split(made.next()[0])


def test_a_file_or_a_missing_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(InvalidInput, match="is no folder to write to"):
        write_deployment(tmp_path / "file", [])
    with pytest.raises(InvalidInput, match="make it first"):
        write_deployment(tmp_path / "none" / "ris", [])

    assert [tmp_path / "file"] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("survived", [0, 1, 9, 15])
def test_a_full_disk_leaves_nothing(
    survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, plain = iter(range(survived)), os.fsync

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(EnvironmentFailed, match="No space left on device"):
        write_deployment(tmp_path / "ris", [])

    assert [] == [*tmp_path.iterdir()]


def test_a_disk_that_is_full_for_the_package_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:  # noqa: ANN401 - whatever it is given
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)

    with pytest.raises(EnvironmentFailed, match="No space left on device"):
        write_deployment(tmp_path / "ris", [])

    assert [] == [*tmp_path.iterdir()]


def test_a_forbidden_place_is_told_in_a_sentence() -> None:
    with pytest.raises(EnvironmentFailed, match="cannot write /proc/ris"):
        write_deployment(Path("/proc/ris"), [])


@pytest.mark.parametrize(
    "name", ["*", "*.example.org", "http://ris", "ris:5000", "a b", "-ris", "ris\nX=1", "", "ris."]
)
def test_what_is_no_host_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no host name"):
        write_deployment(tmp_path / "ris", [name])

    assert [] == [*tmp_path.iterdir()]


def test_what_an_editor_leaves_behind_is_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.yaml", "a.yaml~", ".a.yaml.swp", "constraints.txt"):
        (tmp_path / "docker" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "docker" / name).write_text("x")
    monkeypatch.setattr(wheel, "shipped", lambda name: tmp_path / name)

    wheel.write_wheel(tmp_path / "package.whl")

    with zipfile.ZipFile(tmp_path / "package.whl") as packed:
        names = [name for name in packed.namelist() if name.startswith("risexp/docker/")]
    assert ["risexp/docker/a.yaml", "risexp/docker/constraints.txt"] == sorted(names)


def test_the_package_is_packed_as_installers_expect_it(made: Deployment) -> None:
    (path,) = (made.folder / "image").glob("*.whl")
    with zipfile.ZipFile(path) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    (record,) = (name for name in contents if name.endswith(".dist-info/RECORD"))
    rows = [line.split(",") for line in contents[record].decode().splitlines()]

    def told(data: bytes) -> tuple[str, str]:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return f"sha256={digest}", str(len(data))

    assert {row[0] for row in rows} == contents.keys()
    assert [] == [
        row[0] for row in rows if row[0] != record and tuple(row[1:]) != told(contents[row[0]])
    ]
    assert {
        "risexp/__init__.py",
        "risexp/py.typed",
        "risexp/search_spaces/wide.yaml",
        "risexp/docker/compose.yaml",
        "risexp/docker/constraints.txt",
        "risexp/config/presets/smoke.yaml",
    } <= contents.keys()
    assert [] == [name for name in contents if "__pycache__" in name or name.startswith("tests")]
