"""What has been done, line by line: a line is there only when what it tells of is safe on the disk."""

from pathlib import Path
from typing import Any, NamedTuple

from disentangle_pl.brain.quality import Facts
from disentangle_pl.json_lines import JsonLines


class Done(NamedTuple):
    """A scan that was prepared.

    Attributes:
        row: Where its volume was appended.
        crc: CRC-32 of the bytes of the volume, by which it is known again wherever it lies now.
        facts: What was measured.
    """

    row: int
    crc: int
    facts: Facts


class Journal:
    """The lines of a preparation, by the contents of the scans.

    Args:
        path: The file, made by the first line. A torn line, and what comes behind it, is overwritten by the next one.

    Attributes:
        settings: Of the preparation, empty if there is no journal yet.
        done: By sha256 of the scan.
        orders: Which scans, by sha256, `volumes.npy` was made of, or was about to be; the last one last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[str, Any] = {}
        self.done: dict[str, Done] = {}
        self.orders: list[list[str]] = []
        self._file = JsonLines(path, self._take)

    def write(self, **line: Any) -> None:
        """Append a line, safe on the disk when this returns."""
        self._file.write(line)

    def _take(self, line: dict[str, Any]) -> None:
        if "settings" in line:
            self.settings = line["settings"]
        elif "order" in line:
            self.orders.append(line["order"])
        else:
            self.done[line["sha256"]] = Done(line["row"], line["crc"], line["facts"])
