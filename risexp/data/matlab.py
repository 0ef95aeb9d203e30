"""Arrays from MATLAB's files of version 5, which Octave and SciPy write as well.

MATLAB stores a complex array without imaginary parts as a real one, gives every array at least two
axes, and stores numbers in fewer bytes than they have where that loses nothing.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from risexp.data.arrays import OPTIONAL, too_large
from risexp.errors import DataInvalid

Found = tuple[dict[str, NDArray[Any]], tuple[str, ...]]
"""Arrays by name, and the names of what is not read."""

_HEADER: Final = 128
_ORDERS: Final = {b"IM": "<", b"MI": ">"}
_VERSION_5: Final = 0x0100
_VERSION_7_3: Final = 0x0200
_MATRIX: Final = 14
_COMPRESSED: Final = 15
_NAMES: Final = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8")
_TYPES: Final = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), _NAMES, strict=True))
"""How numbers are stored, by the type in their tag."""
_NUMBERS: Final = range(6, 16)
"""Classes of arrays that hold numbers."""
_OTHERS: Final = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function"}
_OPAQUE: Final = 17
_COMPLEX: Final = 0x0800
_LOGICAL: Final = 0x0200
_HEAD: Final = 1 << 16
"""Bytes in which the name of a variable is looked for."""


def read_matlab(fields: Sequence[str], path: Path, largest: int) -> Found:
    """The arrays of these names in a file, and its other names; they may unpack to `largest` bytes.

    `snr_db` gets one axis, all others are complex.
    """
    with path.open("rb") as file:
        order = _order(path, file.read(_HEADER))
        try:
            return _variables(path, file, order, fields, largest)
        except (zlib.error, struct.error, ValueError, LookupError) as error:
            raise DataInvalid(f"{path} is no sound .mat file: {error}") from None


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


@dataclass
class _Parts:
    """What a variable consists of, one part after another."""

    content: memoryview
    order: str
    at: int = 0

    def next(self, types: Sequence[int]) -> tuple[int, memoryview]:
        """Type and bytes of the next part, which has to be of one of these types."""
        (kind,) = struct.unpack_from(f"{self.order}I", self.content, self.at)
        start = self.at + 8
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, self.at + 4
            if size > 4:
                raise ValueError("a part is longer than its tag")
        else:
            (size,) = struct.unpack_from(f"{self.order}I", self.content, self.at + 4)
        if kind not in types or start + size > len(self.content):
            raise ValueError("a part is not of the type or of the size that it should be")
        self.at = start + size + -(start + size) % 8
        return kind, self.content[start : start + size]

    def numbers(self) -> NDArray[Any]:
        """The next part as numbers."""
        kind, content = self.next(tuple(_TYPES))
        return np.frombuffer(content, np.dtype(f"{self.order}{_TYPES[kind]}"))


@dataclass(frozen=True)
class _Variable:
    """What stands before the numbers of a variable."""

    name: str
    kind: int
    """Its class."""
    flags: int
    shape: tuple[int, ...]
    parts: _Parts
    """The numbers are the next ones."""

    @classmethod
    def of(cls, content: bytes, order: str) -> "_Variable":
        """The variable that begins here."""
        (kind,) = struct.unpack_from(f"{order}I", content)
        if kind != _MATRIX:
            raise ValueError(f"there is an element of type {kind} where a matrix was expected")
        parts = _Parts(memoryview(content)[8:], order)
        (flags,) = struct.unpack_from(f"{order}I", parts.next((6,))[1])
        kind = flags & 0xFF
        shape: tuple[int, ...] = ()
        if kind != _OPAQUE:
            _, sizes = parts.next((5,))
            shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
        _, name = parts.next((1,))
        return cls(bytes(name).decode("latin-1"), kind, flags, shape, parts)

    def expect_numbers(self, path: Path) -> None:
        """Refuse words, cells, and all else that is no array of numbers."""
        logical = bool(self.flags & _LOGICAL)
        if self.kind not in _NUMBERS or logical:
            kind = "logical" if logical else _OTHERS.get(self.kind, "thing of another class")
            raise DataInvalid(f"{path}: {self.name} is a {kind}: numbers were expected")

    def array(self) -> NDArray[Any]:
        """Its numbers."""
        if min(self.shape) < 0:
            raise ValueError(f"{self.name} has a negative size")
        value = self.parts.numbers()
        if self.flags & _COMPLEX or self.name != OPTIONAL:
            real, value = value, np.zeros(value.shape, np.result_type(value, np.complex64))
            value.real = real
        if self.flags & _COMPLEX:
            value.imag = self.parts.numbers().reshape(value.shape)
        if value.size != math.prod(self.shape):
            raise ValueError(f"{self.name} has not the numbers that its shape needs")
        one_axis = self.name == OPTIONAL and min(self.shape) <= 1
        return value if one_axis else value.reshape(self.shape, order="F")


def _variables(
    path: Path, file: BinaryIO, order: str, fields: Sequence[str], largest: int
) -> Found:
    arrays: dict[str, NDArray[Any]] = {}
    others: set[str] = set()
    left = largest
    for kind, start, size in _elements(file, order):
        name = _Variable.of(_content(file, kind, start, size, _HEAD), order).name
        if name not in fields:
            others.add(name)
            continue
        if name in arrays:
            raise ValueError(f"it holds {name} twice")
        content = _content(file, kind, start, size, left + 1)
        left -= len(content)
        if left < 0:
            raise too_large(path, largest)
        found = _Variable.of(content, order)
        found.expect_numbers(path)
        arrays[name] = found.array()
    return arrays, tuple(sorted(others - {""}))  # what has no name is MATLAB's own


def _elements(file: BinaryIO, order: str) -> Iterator[tuple[int, int, int]]:
    """Type, place and size of all variables, without their tags."""
    at, end = _HEADER, os.fstat(file.fileno()).st_size
    while at < end:
        file.seek(at)
        kind, size = struct.unpack(f"{order}II", file.read(8))
        at += 8
        if size > end - at:
            raise ValueError("it ends too early")
        yield kind, at, size
        at += size


def _content(file: BinaryIO, kind: int, start: int, size: int, most: int) -> bytes:
    """The first bytes of a variable with its tag, or all where there are fewer."""
    if kind != _COMPRESSED:
        file.seek(start - 8)
        return file.read(min(size + 8, most))
    file.seek(start)
    inflate = zlib.decompressobj()
    content = inflate.decompress(file.read(min(size, most)), most)
    if size <= most and len(content) < most and not inflate.eof:
        raise ValueError("what was compressed ends too early")
    return content
