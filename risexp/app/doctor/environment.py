"""Whether the machine is fit for it: versions, devices, and a disk that can be written."""

import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Final

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from risexp.app.doctor.check import Check, judged
from risexp.app.doctor.system import file_system
from risexp.core.home import home
from risexp.hpo.store.address import address_of, embedded, store_url
from risexp.tracking.stores import chosen_store

WAL: Final = "wal"
"""The journal mode in which readers and a writer go on at once."""
_FULL: Final = 50_000_000
"""Bytes below which a disk counts as full: a checkpoint might not fit."""
_SHORT: Final = 1_000_000_000
"""Bytes below which a disk may be full before the night is over."""
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse"}
)
"""File systems that several machines share, whose locks SQLite cannot rely on."""
_PACKAGE: Final = "risexp"
_MISSING: Final = "(missing)"


def environment_checks() -> Iterator[Check]:
    """All of them; nothing is changed but for a probe in the home that is gone at once."""
    yield versions()
    yield device()
    place = _nearest(home().absolute())
    yield disk(place)
    yield writable(place)
    yield from databases()


def versions() -> Check:
    """Python and every library against what the package asks for."""
    try:
        asked = [Requirement(each) for each in requires(_PACKAGE) or ()]
        python = SpecifierSet(str(metadata(_PACKAGE)["Requires-Python"]))
    except PackageNotFoundError:
        said = "risexp is not installed, so what it requires is not known: pip install it"
        return Check("environment", "versions", "warn", said)
    needed = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    running = platform.python_version()
    wrong = [f"{each.name} {_version(each)} is not {each.specifier}" for each in _unmet(needed)]
    if not python.contains(running, prereleases=True):
        wrong.insert(0, f"Python {running} is not {python}")
    sound = f"Python {running}, and {len(needed)} libraries as risexp requires them"
    return judged("environment", "versions", wrong, sound, "pip install -U risexp")


def device() -> Check:
    """What torch computes on."""
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    threads = f"{torch.get_num_threads()} threads of torch {version('torch')}"
    return Check("environment", "devices", "ok", f"{', '.join(cards) or 'CPU only'}; {threads}")


def disk(place: Path) -> Check:
    """Room where the home is."""
    room = shutil.disk_usage(place)
    free = f"{room.free / 1e9:.1f} GB are free at {place}"
    if room.free < _FULL and room.total:
        said = f"{free}: make room before anything is trained"
        return Check("environment", "disk", "fail", said)
    if room.free < _SHORT and room.total:
        return Check("environment", "disk", "warn", f"{free}: make room before a long search")
    return Check("environment", "disk", "ok", free)


def writable(place: Path) -> Check:
    """Whether the home takes files."""
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"risexp")
    except OSError as error:
        said = (
            f"{place} cannot be written ({error.strerror}): give RISEXP_HOME a folder that can, or "
            "change its permissions"
        )
        return Check("environment", "home", "fail", said)
    known = home().absolute()
    said = f"{known} can be written" if place == known else f"{known} is not yet made, and can be"
    return Check("environment", "home", "ok", said)


def embedded_databases() -> list[Path]:
    """Those in files that are there: of studies, and of records."""
    records = chosen_store(None)
    found = [
        address_of(store_url() or embedded()).path,
        None if records is None else records.database,
    ]
    return [path for path in found if path is not None and path.exists()]


def databases() -> Iterator[Check]:
    """Whether the embedded databases lie on this machine's own disk, and write ahead."""
    found = embedded_databases()
    if not found:
        return
    for folder in dict.fromkeys(each.parent for each in found):
        kind = file_system(folder)
        if kind in _REMOTE:
            said = (
                f"{folder} is on {kind}, where SQLite loses data: name PostgreSQL in RISEXP_STORE "
                "and RISEXP_TRACKING_URI"
            )
            yield Check("environment", "file system", "fail", said)
    modes = {each.name: journal_mode(each) for each in found}
    wrong = [f"{name} is in mode {mode}" for name, mode in modes.items() if mode != WAL]
    sound = f"{' and '.join(modes)}: write ahead (WAL)"
    advice = "readers then wait for writers, and `risexp doctor --fix` has it write ahead"
    yield judged("environment", "journal mode", wrong, sound, advice, "warn")


def journal_mode(path: Path) -> str:
    """How a database file keeps what is being written; `unknown` where it cannot be read."""
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)
        ) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    except sqlite3.Error:
        return "unknown"


def _nearest(path: Path) -> Path:
    """The folder itself, or the one it would be made in."""
    return next(each for each in (path, *path.parents) if each.exists())


def _unmet(needed: list[Requirement]) -> Iterator[Requirement]:
    for each in needed:
        found = _version(each)
        if found == _MISSING or not each.specifier.contains(found, prereleases=True):
            yield each


def _version(requirement: Requirement) -> str:
    try:
        return version(requirement.name)
    except PackageNotFoundError:
        return _MISSING
