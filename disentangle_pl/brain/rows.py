"""Volumes one behind the other in a .npy file, read and written row by row: no more than a row is ever in memory."""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from disentangle_pl.brain.volumes import Volume

_TYPE = np.dtype("<f2")


class Rows:
    """Volumes (D, H, W) float16 in a file whose header is made last.

    Args:
        path: The file, which need not be there.
        size: (D, H, W).
    """

    def __init__(self, path: Path, size: tuple[int, int, int]) -> None:
        self.path = path
        self.size = size
        self._bytes = int(np.prod(size)) * _TYPE.itemsize
        self._start = len(self._header(0))

    def read(self, row: int) -> bytes:
        """Return the bytes of a row, fewer or none if the file does not reach so far."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            file.seek(self._start + row * self._bytes)
            return file.read(self._bytes)

    def volume(self, row: int) -> Volume:
        """Return a row that is there."""
        return np.frombuffer(self.read(row), _TYPE).reshape(self.size)

    def volumes(self) -> Iterator[Volume]:
        """Give all whole rows one by one."""
        row = 0
        while len(content := self.read(row)) == self._bytes:
            yield np.frombuffer(content, _TYPE).reshape(self.size)
            row += 1

    def write(self, row: int, content: bytes) -> None:
        """Write a row and drop what comes behind it; it is safe on the disk when this returns."""
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.seek(self._start + row * self._bytes)
            file.write(content)
            file.truncate()
            _sync(file)

    def write_all(self, contents: Iterable[bytes]) -> None:
        """Write all rows anew."""
        with self.path.open("wb") as file:
            file.seek(self._start)
            for content in contents:
                file.write(content)
            _sync(file)

    def close(self, count: int) -> None:
        """Write the header, and drop what comes behind so many rows."""
        with self.path.open("r+b") as file:
            file.write(self._header(count))
            file.truncate(self._start + count * self._bytes)
            _sync(file)

    def _header(self, count: int) -> bytes:
        text = io.BytesIO()
        described = {"descr": _TYPE.str, "fortran_order": False, "shape": (count, *self.size)}
        np.lib.format.write_array_header_1_0(text, described)
        return text.getvalue()


def _sync(file: io.BufferedRandom | io.BufferedWriter) -> None:
    file.flush()
    os.fsync(file.fileno())
