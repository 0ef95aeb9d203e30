"""The wheel of a deployment's image: built by pip, or packed from an installation's own files."""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

from risexp.app.deploy import wheel
from risexp.errors import EnvironmentFailed


@pytest.fixture
def installed(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a wheel installs it, and no source tree beside it."""
    site = tmp_path / "site"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(built)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own interpreter
    (found,) = distributions(name="risexp", path=[str(site)])
    monkeypatch.setattr(wheel, "files", lambda _: site / "risexp")
    monkeypatch.setattr(wheel, "distribution", lambda _: found)
    return site


def contents(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_built_wheel_holds_the_package_and_what_ships_with_it(built: Path) -> None:
    names = contents(built).keys()

    assert {
        "risexp/__init__.py",
        "risexp/py.typed",
        "risexp/search_spaces/wide.yaml",
        "risexp/docker/compose.yaml",
        "risexp/docker/constraints.txt",
        "risexp/config/presets/smoke.yaml",
    } <= names
    assert [] == [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_an_installed_package_is_packed_to_the_wheel_that_installed_it(
    built: Path, installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    (installed / "risexp" / "notes.txt~").write_text("an editor's copy")

    wheel.write_wheel(tmp_path / "again")

    again, before = contents(tmp_path / "again" / built.name), contents(built)
    (record,) = (name for name in before if name.endswith("/RECORD"))
    assert sorted(before.pop(record).splitlines()) == sorted(again.pop(record).splitlines())
    assert before == again


def test_shipped_files_are_the_same_in_both_places(installed: Path) -> None:
    root = Path(__file__).parents[3]

    for name, source in (
        ("docker/constraints.txt", "constraints.txt"),
        ("docker/compose.yaml", "docker/compose.yaml"),
        ("gates/smoke.yaml", "gates/smoke.yaml"),
    ):
        assert installed / "risexp" / name == wheel.shipped(name)
        assert (root / source).read_bytes() == wheel.shipped(name).read_bytes()


def test_a_wheel_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'absent'\n"
    )
    monkeypatch.setattr(wheel, "files", lambda _: tmp_path / "risexp")
    with pytest.raises(EnvironmentFailed, match=r"pip cannot build a wheel of .*pip install hatch"):
        wheel.write_wheel(tmp_path)

    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.setattr(wheel, "distribution", lambda _: next(iter(distributions(name="pip"))))
    with pytest.raises(EnvironmentFailed, match="has no list of its files: install it with pip"):
        wheel.write_wheel(tmp_path)
