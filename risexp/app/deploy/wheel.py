"""The package that is installed here as a wheel, so that an image holds the same."""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Final

from risexp import __version__
from risexp.errors import EnvironmentFailed

BESIDE: Final = ("docker", "gates", "search_spaces")
"""Folders that a wheel carries inside the package and a source tree has beside it."""
CONSTRAINTS: Final = "docker/constraints.txt"
_ALONE: Final = {CONSTRAINTS: "constraints.txt"}
"""Files that are in no folder of a source tree."""
_KEPT: Final = ("METADATA", "entry_points.txt")
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: risexp\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def wheel_name() -> str:
    """The file's name, as installers read it."""
    return f"risexp-{__version__}-py3-none-any.whl"


def write_wheel(path: Path) -> None:
    """Pack what is installed here.

    Raises:
        EnvironmentFailed: It was not installed by an installer, so that its needs are not known.
    """
    info = f"risexp-{__version__}.dist-info"
    contents = {name: place.read_bytes() for name, place in _package()}
    contents |= {f"{info}/{name}": text.encode() for name, text in _described().items()}
    record = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)


def shipped(name: str) -> Path:
    """What ships with the package: inside it where it is installed, beside it in a source tree."""
    package = Path(str(files("risexp")))
    inside = package / name
    return inside if inside.exists() else package.parent / _ALONE.get(name, name)


def _package() -> Iterator[tuple[str, Path]]:
    """Names in the wheel and the files they are."""
    folders = {"risexp": Path(str(files("risexp")))}
    folders |= {f"risexp/{name}": shipped(name) for name in BESIDE}
    found = {f"risexp/{CONSTRAINTS}": shipped(CONSTRAINTS)}
    for name, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and not any(map(_passing, inside.parts)):
                found[f"{name}/{inside.as_posix()}"] = path
    yield from found.items()


def _passing(name: str) -> bool:
    """Whether a name is that of what editors and interpreters leave behind."""
    return name == "__pycache__" or name.startswith(".") or name.endswith("~")


def _described() -> dict[str, str]:
    found = _distribution()
    kept = {name: found.read_text(name) for name in _KEPT}
    if missing := [name for name, text in kept.items() if not text]:
        raise EnvironmentFailed(
            f"the installed risexp has no {missing[0]}: install it with pip, and try again"
        )
    return {name: text or "" for name, text in kept.items()} | {"WHEEL": _WHEEL}


def _distribution() -> Distribution:
    try:
        return distribution("risexp")
    except PackageNotFoundError:
        raise EnvironmentFailed(
            "risexp is not installed here, so that no image can be made of it: install it with "
            "pip, and try again"
        ) from None


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
