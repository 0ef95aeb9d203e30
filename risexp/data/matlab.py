"""Arrays from MATLAB's files of version 5, which Octave and SciPy write as well.

MATLAB stores a complex array without imaginary parts as a real one, and gives every array at least
two axes.
"""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import scipy.io  # type: ignore[import-untyped] # it ships no types
from numpy.typing import NDArray

from risexp.data.arrays import too_large
from risexp.errors import DataInvalid

_HEADER: Final = 128
_ORDERS: Final = {b"IM": "<", b"MI": ">"}
_VERSION_5: Final = 0x0100
_VERSION_7_3: Final = 0x0200
_COMPRESSED: Final = 15
_CHUNK: Final = 1 << 20
_INTEGERS: Final = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_NUMBERS: Final = frozenset({"double", "single", *_INTEGERS})
_DAMAGED: Final = (
    scipy.io.matlab.MatReadError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)
"""What a broken file makes of its reader."""


def read_matlab(
    path: Path, fields: Sequence[str], largest: int
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays of these names that a file holds, and the other names in it.

    Args:
        path: The file.
        fields: Names to read; `snr_db` gets one axis, all others are complex.
        largest: Bytes that the file may unpack to.

    Raises:
        DataInvalid: It is of another version, broken, unpacks to more, or holds no numbers there.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        order = _order(path, file.read(_HEADER))
        try:
            sound = _unpacked_size(file, order, largest) <= largest
        except (zlib.error, struct.error) as error:
            raise DataInvalid(f"{path} is no sound .mat file: {error}") from None
    if not sound:
        raise too_large(path, largest)
    try:
        kinds = {name: kind for name, _, kind in scipy.io.whosmat(path)}
        wanted = [name for name in fields if name in kinds]
        for name in wanted:
            if kinds[name] not in _NUMBERS:
                raise DataInvalid(f"{path}: {name} is a {kinds[name]}: numbers were expected")
        loaded = scipy.io.loadmat(path, variable_names=wanted)
        arrays = {name: _array(name, loaded[name]) for name in wanted}
    except _DAMAGED as error:
        raise DataInvalid(f"{path} is no sound .mat file: {error}") from None
    except OSError as error:
        if error.errno is None:  # so SciPy says that a file ends too early
            raise DataInvalid(f"{path} is no sound .mat file: {error}") from None
        raise
    return arrays, tuple(sorted(kinds.keys() - set(wanted)))


def _order(path: Path, header: bytes) -> str:
    """The order of bytes that a header states."""
    order = _ORDERS.get(header[126:128])
    version = 0 if order is None else struct.unpack(f"{order}H", header[124:126])[0]
    if version == _VERSION_7_3:
        raise DataInvalid(
            f"{path} is a .mat file of version 7.3: save it again with -v7, save(file, '-v7', ...)"
        )
    if order is None or version != _VERSION_5:
        raise DataInvalid(f"{path} is no .mat file of version 5: save it with -v7")
    return order


def _unpacked_size(file: BinaryIO, order: str, largest: int) -> int:
    """Bytes of all variables, counted without keeping them, until there are too many."""
    total = 0
    while (tag := file.read(8)) and total <= largest:
        kind, size = struct.unpack(f"{order}II", tag)
        total += _inflated(file, size, largest) if kind == _COMPRESSED else size
        if kind != _COMPRESSED:
            file.seek(size, 1)
    return total


def _inflated(file: BinaryIO, size: int, largest: int) -> int:
    """Bytes that the next ones of a file unpack to."""
    inflate, total = zlib.decompressobj(), 0
    for _ in range(0, size, _CHUNK):
        left = file.read(min(_CHUNK, size))
        size -= len(left)
        while left and total <= largest:
            total += len(inflate.decompress(left, _CHUNK))
            left = inflate.unconsumed_tail
    return total


def _array(name: str, value: NDArray[Any]) -> NDArray[Any]:
    if name == "snr_db":
        return value.ravel() if min(value.shape) <= 1 else value
    return value.astype(np.complex64) if value.dtype.kind in "fiu" else value
