"""A run's numbers as one plain table that survives kills and resumes."""

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from disentangle_pl.errors import InputError


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
        self._row: dict[str, Any] = {}
        self._unsaved = False
        self._in_file = False

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
        if not self._columns:
            self._continue_from(at)
        if self._row.get("step") != at:
            self.save()
            self._row, self._in_file = {"step": at}, False
        self._row |= {key: float(value) for key, value in metrics.items()}
        self._unsaved = True

    @rank_zero_only
    def save(self) -> None:
        """Write the row of this step; a new column, or more of a row that is written, rewrites the table atomically."""
        if not self._unsaved:
            return
        new = [column for column in self._row if column not in self._columns]
        if new or self._in_file or not self.path.exists():
            self._columns += new
            rows = self._read()
            self._write([*(rows[:-1] if self._in_file else rows), self._row])
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(self._row)
        self._unsaved, self._in_file = False, True

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
        if not self.path.is_file():
            raise InputError(f"{self.path} is no file: move it away to go on with the run, or choose another --run_id")
        with self.path.open(newline="", errors="replace") as file:
            # A kill may have cut the last line short.
            rows = list(csv.DictReader(line for line in file if line.endswith("\n")))
        if any(not str(row.get("step")).isdecimal() for row in rows):
            raise InputError(f"{self.path} is damaged: move it away to go on with the run, or choose another --run_id")
        return rows

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")
        with draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        draft.replace(self.path)
