"""A run's numbers: as one plain table that survives kills and resumes, and in W&B."""

import csv
import math
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from disentangle_pl.errors import InputError

CLIENT = "wandb"  # takes a second to load, which only runs that log there spend
TABLES = ("scores", "latents")  # TSV files of a run folder that W&B shows
LOSSES, SCORES = ("val/loss", "val/nll", "val/mse"), "disentanglement/"
ENDS = ("_floor", "_rotated", "_ceiling")  # of a score, which stay as they are


@dataclass
class WandbSettings:
    """How a run appears in W&B; what is left out here is taken from the environment, as WANDB_ENTITY, WANDB_NAME.

    Attributes:
        entity: User or team.
        group: Runs that belong together.
        tags: Words to filter by.
        job_type: Kind of a run within its group.
        name: What the run is called; the run id, or for an agent's runs what the sweep varies, unless WANDB_NAME says.
        log_model: Upload the last checkpoint at the end, and the best if there is one, as versions of one artifact.
    """

    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    job_type: str | None = None
    name: str | None = None
    log_model: bool = False


class WandbRun(WandbLogger):
    """Lightning's logger of W&B; a metric has one value a step, also where the final weights are scored once more.

    The best value so far stands in the summary beside the last one. Not so in the runs of a sweep's agent: what the
    sweep optimises must stay a plain number there.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._logged: tuple[int | None, set[str]] = (None, set())
        self._summed_up: set[str] = set()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send the metrics that this step does not have yet."""
        before = self._logged[1] if self._logged[0] == step else set()
        self._logged = step, before | metrics.keys()
        new = {name: value for name, value in metrics.items() if name not in before}
        for name in new.keys() - self._summed_up if "WANDB_SWEEP_ID" not in os.environ else ():
            self._summed_up.add(name)
            # one by one: Lightning has defined "*", and of two patterns the client takes the first
            if name in LOSSES or (name.startswith(SCORES) and not name.endswith(ENDS)):
                best = "min" if name in LOSSES else "max"
                self.experiment.define_metric(name, step_metric="trainer/global_step", summary=f"{best},last")
        if new:
            super().log_metrics(new, step)

    @rank_zero_only
    def describe(self, config: Mapping[str, Any]) -> None:
        """Send the configuration and the version of this package."""
        version_here = {"disentangle_pl": version("disentangle_pl")}
        self.experiment.config.update({**config, **version_here}, allow_val_change=True)

    @rank_zero_only
    def log_tables(self, folder: Path, step: int) -> None:
        """Send the tables that a run folder has: the final scores, and what every latent is worth."""
        for name in TABLES:
            path = folder / f"{name}.tsv"
            if path.is_file():
                with path.open(newline="") as file:
                    header, *rows = csv.reader(file, delimiter="\t")
                table = import_module(CLIENT).Table(columns=header)
                for first, *cells in rows:
                    table.add_data(first, *map(_number, cells))  # W&B takes no text among numbers
                self.log_metrics({f"tables/{name}": table}, step)

    @rank_zero_only
    def log_checkpoints(self, files: Mapping[str, Path], config: Path) -> None:
        """Send checkpoints as versions of one artifact.

        Args:
            files: Checkpoints by the alias of their version; the last of them is the newest.
            config: The configuration, which goes with each.
        """
        for alias, path in files.items():
            artifact = import_module(CLIENT).Artifact(f"model-{self.experiment.id}", type="model")
            artifact.add_file(str(path), name=path.name)
            artifact.add_file(str(config), name=config.name)
            self.experiment.log_artifact(artifact, aliases=[alias])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class MetricsCSV(Logger):
    """Append every logged row to `metrics.csv`: one column a metric, one row a step.

    Lightning's own CSV logger deletes the history of a resumed run. This one keeps it, and on the first row after a
    resume drops the rows beyond that step, which the killed run had written after its last checkpoint.

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
        # the score of the final weights belongs to the last epoch, which Lightning then counts as over
        epoch = {"epoch": self._row["epoch"]} if "epoch" in self._row else {}
        self._row |= {key: float(value) for key, value in metrics.items()} | epoch
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
            earlier = [row for row in rows if int(row["step"]) <= step]
            self._write(earlier)
            if earlier and int(earlier[-1]["step"]) == step:
                self._row, self._in_file = {**earlier[-1], "step": step}, True

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
