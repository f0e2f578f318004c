"""The volumes of a folder of prepared scans, found again by the contents of the scans they come from."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from disentangle_pl.brain.duplicates import same_volumes
from disentangle_pl.brain.journal import Journal
from disentangle_pl.brain.prepared import JOURNAL, VOLUMES
from disentangle_pl.brain.quality import Facts
from disentangle_pl.brain.rows import Rows
from disentangle_pl.brain.volumes import Preparation

APPENDED, NEXT = "volumes.partial", "volumes.next"


class Store:
    """The volumes of a folder by the contents of their scans, wherever they lie in its files.

    A volume is taken only if its bytes have the CRC of its line in the journal, so neither a torn write nor a kill
    between two files can pass for one, and only if all its voxels are finite.

    Args:
        folder: The folder; it is not written to until `add`.
        preparation: What made the volumes.
    """

    def __init__(self, folder: Path, preparation: Preparation) -> None:
        self.folder = folder
        self.journal = Journal(folder / JOURNAL)
        self.volumes = Rows(folder / VOLUMES, preparation.size)
        self.appended = Rows(folder / APPENDED, preparation.size)
        self.places: dict[str, tuple[Rows, int]] = {}
        for order in reversed(self.journal.orders):
            for row, sha256 in enumerate(order):
                self._look(sha256, self.volumes, row)
        for sha256, done in self.journal.done.items():
            self._look(sha256, self.appended, done.row)
        self.count = 1 + max((row for rows, row in self.places.values() if rows is self.appended), default=-1)

    def content(self, sha256: str) -> bytes:
        """Return the bytes of a volume that is there."""
        rows, row = self.places[sha256]
        return rows.read(row)

    def images(self, keys: pd.Series) -> pd.Series:
        """Give scans, by their keys (N,), whose volumes are identical the same number (see `same_volumes`)."""
        crcs = keys.map(lambda key: self.journal.done[key].crc).astype("int64")
        return same_volumes(crcs, lambda row: self.content(keys.iloc[row]))

    def facts(self, sha256: str) -> Facts:
        """Return what was measured of a scan whose volume is there."""
        return self.journal.done[sha256].facts

    def add(self, sha256: str, content: bytes, facts: Facts) -> None:
        """Append a volume, then its line."""
        self.appended.write(self.count, content)
        self.journal.write(sha256=sha256, row=self.count, crc=zlib.crc32(content), facts=facts)
        self.places[sha256] = (self.appended, self.count)
        self.count += 1

    def arrange(self, order: list[str]) -> Rows:
        """Bring the volumes into an order, in `volumes.npy`."""
        places = [self.places[sha256] for sha256 in order]
        if places != [(self.volumes, row) for row in range(len(order))]:
            ready = self.appended
            if places != [(ready, row) for row in range(self.count)]:
                ready = Rows(self.folder / NEXT, self.volumes.size)
                ready.write_all(map(self.content, order))
            ready.close(len(order))
            self.journal.write(order=order)
            ready.path.replace(self.volumes.path)
        self.volumes.close(len(order))
        self.appended.path.unlink(missing_ok=True)
        self.places = {sha256: (self.volumes, row) for row, sha256 in enumerate(order)}
        self.count = 0
        return self.volumes

    def _look(self, sha256: str, rows: Rows, row: int) -> None:
        done = self.journal.done.get(sha256)
        if not done or sha256 in self.places:
            return
        content = rows.read(row)
        if zlib.crc32(content) == done.crc and np.isfinite(np.frombuffer(content, "<f2")).all():
            self.places[sha256] = (rows, row)
