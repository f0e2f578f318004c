"""Score the codes of the validation set against the ground-truth factors, during training and at its end."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console
from rich.table import Table

from disentangle_pl.data.module import ImageData
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.collection import CodesAndFactors
from disentangle_pl.metrics.dci import dci_scores
from disentangle_pl.metrics.mig import mig, mig_per_factor
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Codes, Factors, Score


class Sheet(NamedTuple):
    """One line of the score sheet.

    Attributes:
        name: The score.
        value: Its value for the model.
        floor: Its value when the codes are shuffled against the factors.
        ceiling: Its value for a perfect code with as many latents; NaN if there are fewer latents than factors.
    """

    name: str
    value: float
    floor: float
    ceiling: float


def score_sheet(codes: Codes, factors: Factors, scores: dict[str, Score], dci_rows: int, jobs: int = 2) -> list[Sheet]:
    """Score codes (N, d) on factors (N, k), with the floor and the ceiling of every score.

    Args:
        codes: Posterior means.
        factors: Class indices.
        scores: Scores by name.
        dci_rows: Rows for DCI, whose boosted trees take minutes on 10,000; 0 leaves DCI out.
        jobs: Processes that fit the trees.

    Returns:
        One line a score.
    """
    random = np.random.default_rng(0)
    rows: list[Codes] = [codes, random.permutation(codes)]
    if codes.shape[1] >= factors.shape[1]:
        rows.append(perfect_codes(factors, codes.shape[1]))
    columns = [{name: score(row, factors) for name, score in scores.items()} for row in rows]
    if dci_rows:
        for column, row in zip(columns, rows, strict=True):
            dci = dci_scores(row[:dci_rows], factors[:dci_rows], jobs=jobs)
            column["dci_disentanglement"] = dci.disentanglement
            column["dci_completeness"] = dci.completeness
            column["dci_informativeness"] = dci.informativeness_test
    values, floors, *rest = columns
    tops = rest[0] if rest else dict.fromkeys(values, float("nan"))
    return [Sheet(name, values[name], floors[name], tops[name]) for name in values]


class LogDisentanglement(Callback):
    """Log scores of the posterior means on the validation set: the cheap ones at every validation, all at the end.

    The end is `disentangle-pl validate`, which `fit` runs last: it adds DCI, the chance floor and the ceiling of every
    score, prints them as a table and writes `scores.tsv`. Data without ground-truth factors are left alone.

    Args:
        scores: Scores by name, functions of codes (N, d) and factors (N, k); null for MIG, modularity and SAP.
        dci_rows: Rows for DCI at the end, two thirds to train its trees; 0 leaves it out.
        jobs: Processes for DCI.
    """

    def __init__(self, scores: dict[str, Score] | None = None, dci_rows: int = 1500, jobs: int = 2) -> None:
        self.scores = scores or {"mig": mig, "modularity": modularity, "sap": sap}
        self.dci_rows = dci_rows
        self.jobs = jobs
        self._metric = CodesAndFactors()
        self._known = False
        self._sheet: list[Sheet] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of the last validation."""
        self._metric.to(pl_module.device).reset()
        self._known = False

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the posterior means that the model has computed anyway."""
        if not batch.factors.is_floating_point():
            self._known = True
            self._metric.update(outputs["mean"], batch.factors)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the codes of all processes, score them on the first, and log the same numbers on all."""
        if not self._known or trainer.sanity_checking:
            return
        codes, factors = self._metric.compute()
        final = trainer.state.fn == TrainerFn.VALIDATING
        logged = self._score(trainer, codes, factors, final) if trainer.is_global_zero else {}
        for name, value in trainer.strategy.broadcast(logged).items():
            pl_module.log(f"disentanglement/{name}", value, sync_dist=False, rank_zero_only=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the table once the progress bar has left the screen."""
        if self._sheet:
            _show(self._sheet)
        self._sheet = []

    def _score(self, trainer: Trainer, codes: Codes, factors: Factors, final: bool) -> dict[str, float]:
        module = trainer.datamodule  # type: ignore[attr-defined]  # set by Trainer.fit
        data = module if isinstance(module, ImageData) else None
        varies = factors.min(0) < factors.max(0)
        names = np.array(data.factor_names if data else range(factors.shape[1]))[varies].tolist()
        factors = factors[:, varies]
        gaps = zip(names, mig_per_factor(codes, factors), strict=True)
        logged = {f"mig_{name}": float(gap) for name, gap in gaps if np.isfinite(gap)}
        if not final:
            return logged | {name: score(codes, factors) for name, score in self.scores.items()}
        sheet = score_sheet(codes, factors, self.scores, min(self.dci_rows, len(codes)), self.jobs)
        _write(Path(trainer.default_root_dir) / "scores.tsv", sheet)
        self._sheet = sheet
        for line in sheet:
            logged |= {line.name: line.value, f"{line.name}_floor": line.floor}
            logged |= {f"{line.name}_ceiling": line.ceiling} if np.isfinite(line.ceiling) else {}
        return logged


def _write(path: Path, sheet: list[Sheet]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerows([Sheet._fields, *sheet])


def _show(sheet: list[Sheet]) -> None:
    table = Table("score", title="Disentanglement")
    for header in ("value", "chance floor", "ceiling"):
        table.add_column(header, justify="right")
    for name, *values in sheet:
        table.add_row(name, *("-" if np.isnan(value) else f"{value:.3f}" for value in values))
    Console().print(table)
