"""The wheel of this installation, which the image of a deployment installs."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, PackagePath, distribution
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

from risexp import __version__
from risexp.errors import EnvironmentFailed

CONSTRAINTS: Final = "docker/constraints.txt"
_INFO: Final = f"risexp-{__version__}.dist-info"
_METADATA: Final = {"METADATA", "WHEEL", "entry_points.txt", "LICENSE"}


def shipped(name: str) -> Path:
    """The path of a shipped file: inside an installed package, or beside it in a source tree."""
    package = Path(str(files("risexp")))
    inside = package / name
    return (
        inside if inside.exists() else package.parent / name.replace(CONSTRAINTS, "constraints.txt")
    )


def write_wheel(folder: Path) -> None:
    """Write the wheel into a folder.

    pip builds it from a source tree. An installed package has none: its files are packed again, by
    the list that its installer wrote.
    """
    source = Path(str(files("risexp"))).parent
    if (source / "pyproject.toml").is_file():
        _build(source, folder)
    else:
        _pack(folder)


def _build(source: Path, folder: Path) -> None:
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
    if find_spec("hatchling") is not None:
        options.append("--no-build-isolation")  # needs no network
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", str(folder), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own interpreter
    if done.returncode:
        reason = (done.stderr.strip() or "it gave no reason").splitlines()[-1]
        raise EnvironmentFailed(
            f"pip cannot build a wheel of {source} ({reason}): `pip install hatchling` first, "
            "which builds it without the network"
        )


def _pack(folder: Path) -> None:
    try:
        listed = distribution("risexp").files or []
    except PackageNotFoundError:
        listed = []
    shipped_files = [file for file in listed if _is_shipped(file)]
    if not shipped_files:
        raise EnvironmentFailed(
            "the installed risexp has no list of its files: install it with pip, and try again"
        )
    record = [
        f"{file},{file.hash.mode}={file.hash.value},{file.size}\n"
        for file in shipped_files
        if file.hash is not None
    ]
    with ZipFile(folder / f"risexp-{__version__}-py3-none-any.whl", "w", ZIP_DEFLATED) as wheel:
        for file in shipped_files:
            wheel.write(file.locate(), str(file))
        wheel.writestr(f"{_INFO}/RECORD", "".join([*record, f"{_INFO}/RECORD,,\n"]))


def _is_shipped(file: PackagePath) -> bool:
    """True for a file of the wheel; false for what the installer added."""
    if file.parts[0] == _INFO:
        return file.name in _METADATA
    return file.parts[0] == "risexp" and file.hash is not None and file.suffix != ".pyc"
