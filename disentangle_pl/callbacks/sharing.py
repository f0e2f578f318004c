"""Log whether a weakly supervised model shares the latents of what its pairs really share."""

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from disentangle_pl.data.factors import Batch
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.metrics.null import corrected_information
from disentangle_pl.metrics.score import ground_truth
from disentangle_pl.metrics.sharing import Sharing, sharing
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class LogSharing(Callback):
    """Log precision and recall of the sharing mask on fresh pairs, at the end of a run.

    `sharing/precision` and `sharing/recall` stand beside `sharing/changed`, the precision of a random mask. Models
    without aggregation, and data whose changes are not known, are left alone; so is a model that knows of no factor.
    Latents that know most about a nuisance are left out, as those that know nothing.

    Args:
        groups: Pairs, or groups, to look at; 0 leaves this out.
    """

    def __init__(self, groups: int = 2000) -> None:
        self.groups = groups

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw pairs, the same for every run and process, and compare."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # set by Trainer.validate
        final = trainer.state.fn == TrainerFn.VALIDATING and self.groups > 0
        if not (final and isinstance(data, SyntheticData) and data.pairs and isinstance(pl_module, VAE)):
            return
        result = None if pl_module.aggregation is None else measure_sharing(pl_module, data, self.groups)
        for name, value in result._asdict().items() if result else ():
            pl_module.log(f"sharing/{name}", value)


@torch.no_grad()
def measure_sharing(model: VAE, data: SyntheticData, groups: int) -> Sharing | None:
    """Compare the sharing of a model with the changes in `groups` fresh groups; None if it knows of no factor.

    Args:
        model: A model with aggregation.
        data: Data with groups, set up.
        groups: How many to draw.
    """
    tensors = data.draw(groups, torch.Generator().manual_seed(0))
    size = max(1, data.eval_batch_size // data.group)
    batches = zip(*(torch.split(tensor.to(model.device), size) for tensor in tensors), strict=True)
    parts = [_share(model, data.on_after_batch_transfer(batch, 0)) for batch in batches]
    codes, factors, shared, changed = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    whose = np.arange(len(codes)) // data.group  # the images of a group are no independent rows
    information = corrected_information(codes, ground_truth(factors, whose))
    scored = data.dataset.factors.scored.numpy()
    information *= scored[information.argmax(axis=1)][:, None]
    return sharing(shared, changed, information) if information.any() else None


def _share(model: VAE, batch: Batch) -> tuple[Tensor, ...]:
    assert model.aggregation is not None, "the caller looks"
    assert batch.changed is not None, "groups of synthetic data say what changed"
    q = model.encode(batch.image.flatten(0, 1))
    grouped = DiagonalGaussian(*(moment.reshape(*batch.image.shape[:2], -1) for moment in q))
    shared = model.aggregation(grouped, batch.changed).shared.squeeze(1)
    differs = (batch.factors != batch.factors[:, :1]).any(1)
    return q.mean, batch.factors.flatten(0, 1), shared, differs
