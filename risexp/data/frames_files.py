"""Frames from a file of a user: NumPy's `.npz`, never as a pickle, or MATLAB's `.mat`."""

import errno
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from risexp.data.arrays import NEEDED, OPTIONAL, frames_of, too_large
from risexp.data.frames import Frames
from risexp.data.matlab import Found, read_matlab
from risexp.errors import DataInvalid, EnvironmentFailed

LARGEST: Final = 4 << 30
"""Bytes that a file may unpack to."""
_FIELDS: Final = (*NEEDED, OPTIONAL)
_DAMAGED: Final = (
    zipfile.BadZipFile,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    MemoryError,
    SyntaxError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)
"""What a zip archive or an array that is broken, or encrypted, makes of its reader."""
_OF_THE_FILE: Final = frozenset({None, errno.EINVAL, errno.ENAMETOOLONG})
"""Errors of the system, or of a reader in its place, that another machine would make as well."""


@dataclass(frozen=True)
class LoadedFrames:
    """What a file holds."""

    frames: Frames
    unused: tuple[str, ...]
    """Names in it that are no field of frames."""


def read_frames(path: Path, largest: int = LARGEST) -> LoadedFrames:
    """The frames in a `.npz` or `.mat` file, by the names y, channel, codes and snr_db."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataInvalid(f"{path} is neither a .npz nor a .mat file")
    try:
        if not path.is_file():
            raise DataInvalid(f"there is no file {path}")
        arrays, unused = reader(path, largest)
    except OSError as error:
        if error.errno in _OF_THE_FILE:
            raise DataInvalid(f"{path} is no sound file: {error.strerror or error}") from None
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None
    try:
        return LoadedFrames(frames_of(arrays), unused)
    except DataInvalid as error:
        raise DataInvalid(f"{path}: {error}") from None


def _read_npz(path: Path, largest: int) -> Found:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            if len(members) < len(archive.infolist()):
                raise DataInvalid(f"{path} holds an array twice: leave one of them out")
            wanted = {name: each for name, each in members.items() if name in _FIELDS}
            if sum(each.file_size for each in wanted.values()) > largest:
                raise too_large(path, largest)
            arrays = {name: _array(path, archive, each) for name, each in wanted.items()}
    except _DAMAGED as error:
        raise DataInvalid(f"{path} is no sound .npz file: {error}") from None
    return arrays, tuple(sorted(members.keys() - wanted.keys()))


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, whose header is believed only if it agrees with the bytes that follow it."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, in_columns, kind = read_header(file)
        if kind.hasobject:
            raise DataInvalid(f"{path}: {member.filename} holds Python objects, which are not read")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise DataInvalid(f"{path}: {member.filename} has the impossible shape {shape}")
        size = member.file_size - file.tell()
        if math.prod(shape) * kind.itemsize != size:
            raise DataInvalid(f"{path}: {member.filename} has not the bytes that its shape needs")
        flat = np.frombuffer(file.read(), dtype=kind)
    return flat.reshape(shape, order="F" if in_columns else "C")


_READERS: Final[Mapping[str, Callable[[Path, int], Found]]] = {
    ".npz": _read_npz,
    ".mat": partial(read_matlab, _FIELDS),
}
