"""Journals: what a process has done, a JSON object a line; a line is there only when what it tells of is safe."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class JsonLines:
    """A file of lines that survives kills: a torn line, and what comes behind it, is overwritten by the next one.

    Args:
        path: The file, made by the first line.
        take: Called with every object, those in the file at once and new ones when they are safe on the disk; if it
            raises ValueError, KeyError or TypeError on one of the file, that counts as torn.
    """

    def __init__(self, path: Path, take: Callable[[dict[str, Any]], None]) -> None:
        self.path = path
        self._take = take
        self._whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            try:
                take(_object(line))
            except (ValueError, KeyError, TypeError):
                break
            self._whole += len(line)

    def write(self, line: dict[str, Any]) -> None:
        """Append a line, safe on the disk when this returns."""
        text = (json.dumps(line) + "\n").encode()
        with self.path.open("ab") as file:
            file.truncate(self._whole)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(text)
        self._take(line)


def _object(line: bytes) -> dict[str, Any]:
    loaded = json.loads(line if line.endswith(b"\n") else b"")
    if not isinstance(loaded, dict):
        raise ValueError("a line is no object")
    return loaded
