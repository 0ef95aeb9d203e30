"""Checks of this machine: versions, devices, disk, home, and databases in files."""

import platform
import re
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

from risexp.app.doctor.check import FIX, Check, judged
from risexp.core.home import home
from risexp.estimation.backend import backend_of
from risexp.hpo.store.address import address_of, embedded, store_url
from risexp.tracking.stores import chosen_store

WAL: Final = "wal"
"""SQLite's journal mode for readers beside a writer."""
_FULL: Final = 50_000_000
"""Free bytes below which a checkpoint might not fit."""
_SHORT: Final = 1_000_000_000
"""Free bytes below which a night's search may fill the disk."""
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse"}
)
"""File systems shared by several machines, whose locks SQLite cannot rely on."""
_PACKAGE: Final = "risexp"
_MISSING: Final = "(missing)"
_MOUNTS: Final = Path("/proc/self/mounts")


def environment_checks() -> Iterator[Check]:
    """All checks of this machine; a probe in the home is written and deleted at once."""
    yield versions()
    yield device()
    path_of_home = home().absolute()
    place = next(path for path in (path_of_home, *path_of_home.parents) if path.exists())
    yield disk(place)
    yield writable(place)
    yield from databases()


def versions() -> Check:
    """Compare Python and the libraries with what the package requires."""
    try:
        listed = [Requirement(line) for line in requires(_PACKAGE) or ()]
        python = SpecifierSet(str(metadata(_PACKAGE)["Requires-Python"]))
    except PackageNotFoundError:
        sentence = "risexp is not installed, so its requirements are not known: pip install it"
        return Check("environment", "versions", "warn", sentence)
    needed = [one for one in listed if one.marker is None or one.marker.evaluate({"extra": ""})]
    running = platform.python_version()
    faults = [fault for requirement in needed for fault in _unmet(requirement)]
    if not python.contains(running, prereleases=True):
        faults.insert(0, f"Python {running} is not {python}")
    sound = f"Python {running}, and {len(needed)} libraries as risexp requires them"
    return judged("environment", "versions", faults, sound, "pip install -U risexp")


def device() -> Check:
    """Devices of torch, its threads and version, and what searches on a CPU."""
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    threads = f"{torch.get_num_threads()} threads of torch {version('torch')}"
    compiled = backend_of("auto") == "compiled"
    search = (
        f"the search is compiled by numba {version('numba')}" if compiled else "it searches too"
    )
    sentence = f"{', '.join(cards) or 'CPU only'}; {threads}; {search}"
    return Check("environment", "devices", "ok", sentence)


def disk(place: Path) -> Check:
    """Free space where the home is."""
    room = shutil.disk_usage(place)
    free = f"{room.free / 1e9:.1f} GB are free at {place}"
    if room.free < _FULL and room.total:
        sentence = f"{free}: make room before anything is trained"
        return Check("environment", "disk", "fail", sentence)
    if room.free < _SHORT and room.total:
        return Check("environment", "disk", "warn", f"{free}: make room before a long search")
    return Check("environment", "disk", "ok", free)


def writable(place: Path) -> Check:
    """Write a probe into the home."""
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"risexp")
    except OSError as error:
        sentence = (
            f"{place} cannot be written ({error.strerror}): set RISEXP_HOME to a writable "
            "folder, or change its permissions"
        )
        return Check("environment", "home", "fail", sentence)
    path_of_home = home().absolute()
    state = "can be written" if place == path_of_home else "is not yet made, and can be"
    sentence = f"{path_of_home} {state}"
    return Check("environment", "home", "ok", sentence)


def embedded_databases() -> list[Path]:
    """Existing database files: of studies, and of tracking."""
    tracking = chosen_store(None)
    paths = [
        address_of(store_url() or embedded()).path,
        None if tracking is None else tracking.database,
    ]
    return [path for path in paths if path is not None and path.exists()]


def databases() -> Iterator[Check]:
    """Check that embedded databases are on a local disk, in write-ahead mode."""
    paths = embedded_databases()
    if not paths:
        return
    kinds = {path.parent: file_system(path.parent) for path in paths}
    remote = [f"{folder} is on {kind}" for folder, kind in kinds.items() if kind in _REMOTE]
    if remote:
        fix = "SQLite loses data there; name PostgreSQL in RISEXP_STORE and RISEXP_TRACKING_URI"
        yield judged("environment", "file system", remote, "", fix)
    modes = {path.name: journal_mode(path) for path in paths}
    wrong = [f"{name} is in mode {mode}" for name, mode in modes.items() if mode != WAL]
    sound = f"{' and '.join(modes)}: write ahead (WAL)"
    fix = f"readers then wait for writers, and {FIX} has it write ahead"
    yield judged("environment", "journal mode", wrong, sound, fix, "warn")


def journal_mode(path: Path) -> str:
    """SQLite's journal mode of a file; `unknown` if it cannot be read."""
    address = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    except sqlite3.Error:
        return "unknown"


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system of a path; empty if the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    kinds = dict[Path, str]()
    for line in lines:
        _, at, kind, *_ = [*line.split(), "", "", ""]
        # Of several mounts at one place the last one is visible.
        kinds[Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), at))] = kind
    place = path.resolve()
    return next((kinds[each] for each in (place, *place.parents) if each in kinds), "")


def _unmet(requirement: Requirement) -> Iterator[str]:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        installed = _MISSING
    if installed == _MISSING or not requirement.specifier.contains(installed, prereleases=True):
        yield f"{requirement.name} {installed} is not {requirement.specifier}"
