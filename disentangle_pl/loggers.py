"""A run's numbers as one plain table that survives kills and resumes."""

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class MetricsCSV(Logger):
    """Append every logged row to `metrics.csv`: one column a metric, one row a step.

    Lightning's own CSV logger deletes the history of a resumed run. This one keeps it, and on the first row after a
    resume drops the rows at or beyond that step, which the killed run had written after its last checkpoint.

    Args:
        save_dir: Folder of the run.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"
        self._columns: list[str] = []
        self._pending: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Empty: the folder is the run's own."""
        return ""

    @property
    def version(self) -> str:
        """Empty: the folder is the run's own."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder of the run."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration lies in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row, or the columns of a step that has one already."""
        at = int(step or 0)
        if self._pending and self._pending["step"] != at:
            self.save()
        elif not self._columns:
            self._continue_from(at)
        self._pending |= {"step": at, **{key: float(value) for key, value in metrics.items()}}

    @rank_zero_only
    def save(self) -> None:
        """Write the pending row; a new column rewrites the table, atomically."""
        if not self._pending:
            return
        new = [column for column in self._pending if column not in self._columns]
        if new or not self.path.exists():
            self._columns += new
            self._write([*self._read(), self._pending])
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(self._pending)
        self._pending = {}

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is pending."""
        self.save()

    def _continue_from(self, step: int) -> None:
        self._columns = ["step"]
        rows = self._read()
        if rows:
            self._columns = list(rows[0])
            self._write([row for row in rows if int(row["step"]) < step])

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            # A kill may have cut the last line short; every whole row has a value, if empty, for every column.
            return [row for row in csv.DictReader(file) if None not in row.values() and row["step"]]

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")
        with draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        draft.replace(self.path)
