"""What a run has logged, read from its folder while it runs."""

import csv
import math
from pathlib import Path

from disentangle_pl.errors import ERROR
from disentangle_pl.run_state import read_state

TAIL = 4000


class History:
    """One metric of a run; the table is read again only when it has grown.

    Args:
        path: `metrics.csv` of the run.
        metric: A column of it.
    """

    def __init__(self, path: Path, metric: str) -> None:
        self.path, self.metric = path, metric
        self._step = 0
        self._read_at: tuple[int, int] | None = None
        self._values: list[float] = []
        self._columns: list[str] = []

    def values(self) -> list[float]:
        """Return the finite values of the metric, in order."""
        self._refresh()
        return self._values

    def step(self) -> int:
        """Return the last step that was logged."""
        self._refresh()
        return self._step

    def columns(self) -> list[str]:
        """Return the metrics that the run has logged."""
        self._refresh()
        return [column for column in self._columns if column != "step"]

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
            if (stat.st_size, stat.st_mtime_ns) == self._read_at:
                return
            with self.path.open(newline="", errors="replace") as file:
                # the last line may be half written
                rows = list(csv.DictReader(line for line in file if line.endswith("\n")))
        except OSError:
            return
        self._read_at = stat.st_size, stat.st_mtime_ns
        self._columns = [str(column) for column in (rows[0] if rows else ())]
        numbers = (_number(row.get(self.metric)) for row in rows)
        self._values = [number for number in numbers if math.isfinite(number)]
        steps = [_number(row.get("step")) for row in rows]
        self._step = int(max((step for step in steps if math.isfinite(step)), default=0))


def read_message(folder: Path, code: int) -> str:
    """Say why a run ended with an exit code: what it has recorded, or the last line that it printed."""
    recorded = read_state(folder).message
    try:
        tail = (folder / "output.log").read_bytes()[-TAIL:].decode(errors="replace")
    except OSError:
        tail = ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    said = errors[-1:] or ([recorded] if recorded else []) or lines[-1:]
    return f"{said[0] if said else 'no word'} (exit code {code})"


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
