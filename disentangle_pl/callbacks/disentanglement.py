"""Score the codes of the validation set against the ground-truth factors, during training and at its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.callbacks import score_table
from disentangle_pl.data.module import ImageData
from disentangle_pl.metrics.collection import CodesAndFactors, Collected
from disentangle_pl.metrics.mig import mig_per_factor
from disentangle_pl.metrics.null import information_shares
from disentangle_pl.metrics.references import ENDS, full_sheet
from disentangle_pl.metrics.score import FEWEST, Score, ground_truth, train_test
from disentangle_pl.metrics.sheet import ALL, QUICK, Entry, Line, alone, chosen, score_codes

INFORMATION = "information.tsv"


class LogDisentanglement(Callback):
    """Log scores of the posterior means on the validation set: the quick ones at every validation, all at the end.

    The end is `disentangle-pl validate`, which `fit` runs last: it computes the whole sheet, with the floor, a rotation
    and the ceiling of every score, prints it and writes `scores.tsv` and `scores.json`, and in `information.tsv` which
    share of every factor every latent knows. `disentangle-pl test` does so on the test set, in the folder `test`. Data
    without ground-truth factors are left alone, and so are quantities unless the data ask for them (see
    `ImageData.scores_quantities`), and validation sets in which too few images have factors that vary.

    Args:
        scores: Scores of your own by name, functions of codes (N, d) and factors (N, k), beside those of the sheet.
        sheet: Compute the whole sheet at the end, not only the quick scores.
        references: Score noise, rotated and perfect codes as well, once for a data set: they are remembered in the
            user's cache folder.
        only: Entries of the sheet, such as mig, dci and corrected: the end computes these alone, as a sweep of many
            short runs may want.

    Raises:
        InputError: If the sheet has no entry of that name.
    """

    def __init__(
        self,
        scores: dict[str, Score] | None = None,
        sheet: bool = True,
        references: bool = True,
        only: Sequence[str] = (),
    ) -> None:
        own = {name: alone(name, score) for name, score in (scores or {}).items()}
        self.quick: dict[str, Entry] = QUICK | own
        self.final: dict[str, Entry] = (chosen(only) if only else ALL if sheet else QUICK) | own
        self.references = references
        self._metric = CodesAndFactors()
        self._has_factors, self._rows = False, 0
        self._lines: list[Line] = []
        self._refused: dict[str, str] = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of the last validation."""
        self._metric.to(pl_module.device).reset()
        self._has_factors, self._rows = False, 0

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
        data = trainer.datamodule  # type: ignore[attr-defined]  # set by Trainer.fit
        quantities = isinstance(data, ImageData) and data.scores_quantities
        if quantities or not batch.factors.is_floating_point():
            self._has_factors = True
            # process r of W has the rows r, r + W, ...: so `Shard` deals them, and the DistributedSampler of torch
            local = torch.arange(self._rows, self._rows + len(batch.factors), device=pl_module.device)
            self._rows += len(batch.factors)
            self._metric.update(outputs["mean"], batch.factors, trainer.global_rank + trainer.world_size * local)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the codes of all processes, score them on the first, and log the same numbers on all."""
        if not self._has_factors or trainer.sanity_checking:
            return
        collected = self._metric.compute()
        final = trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.TESTING)
        logged = self._score(trainer, collected, final) if trainer.is_global_zero else {}
        prefix = "test/" if trainer.state.fn == TrainerFn.TESTING else ""
        for name, value in trainer.strategy.broadcast(logged).items():
            pl_module.log(f"{prefix}disentanglement/{name}", value, sync_dist=False, rank_zero_only=False)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of the last validation."""
        self.on_validation_epoch_start(trainer, pl_module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the posterior means of the test set."""
        self.on_validation_batch_end(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score them all."""
        self.on_validation_epoch_end(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the table once the progress bar has left the screen."""
        if self._lines:
            score_table.show(self._lines, self._refused)
        self._lines = []

    def _score(self, trainer: Trainer, collected: Collected, final: bool) -> dict[str, float]:
        module = trainer.datamodule  # type: ignore[attr-defined]  # set by Trainer.fit
        data = module if isinstance(module, ImageData) else None
        groups = data.groups("test" if trainer.state.fn == TrainerFn.TESTING else "val") if data else None
        codes, groups = collected.codes, None if groups is None else groups[collected.rows]
        factors = ground_truth(collected.factors, groups)
        names = np.array(data.factor_names if data else range(factors.shape[1]))
        scored_factors = factors.varying & ~np.isin(names, data.nuisance if data else ())
        names, factors = names[scored_factors], factors.columns(scored_factors)
        few = "" if groups is None or len(np.unique(groups)) > 1 else ", all of one group"
        if len(codes) < FEWEST or not len(names) or few:
            if final:
                images = f"{len(codes)} images of validation{few}"
                rank_zero_info(f"no scores: {images}, {len(names)} factors vary among them")
            return {}
        train, _ = train_test(codes, factors, None)
        gaps = zip(names, mig_per_factor(*train), strict=True)
        logged = {f"mig_{name}": float(gap) for name, gap in gaps if np.isfinite(gap)}
        if not final:
            return logged | score_codes(codes, factors, self.quick.items()).values
        lines, scored = full_sheet(
            codes,
            factors,
            self.final,
            ends=self.references,
            folder=score_table.references_folder(),
            watch=score_table.bar,
        )
        folder = Path(trainer.default_root_dir) / ("test" if trainer.state.fn == TrainerFn.TESTING else "")
        kinds = dict(zip(names.tolist(), factors.kinds(), strict=True))
        score_table.write(folder, lines, kinds=kinds, seconds=scored.seconds, left_out=scored.refused, rows=len(codes))
        shares = information_shares(*train).T
        score_table.write_latents(folder / INFORMATION, dict(zip(names.tolist(), shares, strict=True)))
        self._lines, self._refused = lines, scored.refused
        for line in lines:
            ends = zip(ENDS, (line.floor, line.rotated, line.ceiling), strict=True)
            logged |= {line.name: line.value}
            logged |= {f"{line.name}_{end}": number for end, number in ends if np.isfinite(number)}
        return logged
