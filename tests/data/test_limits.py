"""What the trainer limits acts on the draws, and what the likelihood cannot describe is refused in time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from disentangle_pl.data.factors import Batch, FactorDataset, FactorSpace
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.errors import InputError
from disentangle_pl.likelihoods import Gaussian
from tests.models.tiny import sprites, tiny, trainer


class Seen(Callback):
    """Remembers the factors of every training batch, and counts those of validation."""

    def __init__(self) -> None:
        self.epochs: list[list[Tensor]] = []
        self.validated: list[int] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs.append([])

    def on_train_batch_end(self, run: Any, model: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.epochs[-1].append(batch.factors)

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.validated.append(0)

    def on_validation_batch_end(self, *_: Any) -> None:
        self.validated[-1] += 1


def seen(folder: Path, **limits: Any) -> Seen:
    """Train three epochs of five steps, each validated on two batches, unless limited."""
    callback = Seen()
    run = trainer(folder, max_epochs=3, callbacks=[callback], num_sanity_val_steps=0, **limits)
    run.fit(tiny(), sprites(4, steps=5))
    return callback


def test_the_same_batches_are_overfitted_in_every_epoch(tmp_path: Path) -> None:
    whole, few = seen(tmp_path), seen(tmp_path, overfit_batches=2)
    first, *later = few.epochs
    assert len(first) == 2
    for epoch in (whole.epochs[0][:2], *later):
        assert all(torch.equal(one, other) for one, other in zip(first, epoch, strict=True))
    assert [len(epoch) for epoch in whole.epochs] == [5, 5, 5]
    assert not torch.equal(whole.epochs[0][0], whole.epochs[1][0])


@pytest.mark.parametrize(("limit", "steps"), [(2, 2), (0.6, 3), (4, 4)])
def test_every_epoch_has_as_many_batches_as_the_limit(limit: int | float, steps: int, tmp_path: Path) -> None:
    limited = seen(tmp_path, limit_train_batches=limit, limit_val_batches=1)
    assert [len(epoch) for epoch in limited.epochs] == [steps] * 3
    assert limited.validated == [1, 1, 1]
    batches = [batch for epoch in limited.epochs for batch in epoch]
    expected = [batch for epoch in seen(tmp_path).epochs for batch in epoch]
    assert all(torch.equal(one, other) for one, other in zip(batches, expected, strict=False))


class Shades(FactorDataset):
    """Grey images whose brightest has a value of its own."""

    def __init__(self, brightest: float) -> None:
        self.shape, self.factors = (1, 16, 16), FactorSpace(["shade"], [16])
        self.levels = torch.cat((torch.linspace(0, 1, 15), torch.tensor([brightest])))

    def images(self, index: Tensor) -> Tensor:
        return self.levels[index].view(-1, 1, 1, 1).expand(-1, *self.shape)


@pytest.mark.parametrize("brightest", [2.0, float("nan")])
@pytest.mark.parametrize("resident_mib", [0, 512])
def test_images_that_the_likelihood_does_not_describe_are_refused_at_the_first_step(
    brightest: float, resident_mib: int, tmp_path: Path
) -> None:
    data = SyntheticData(Shades(brightest), batch_size=64, eval_size=64, resident_mib=resident_mib)
    model = tiny()
    before = [parameter.clone() for parameter in model.parameters()]
    for limits in ({"num_sanity_val_steps": 0}, {"num_sanity_val_steps": 1}):
        with pytest.raises(InputError, match="from 0 to 2" if brightest == 2 else "are NaN or infinite"):
            trainer(tmp_path, **limits).fit(model, data)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_another_likelihood_trains_on_any_finite_images(tmp_path: Path) -> None:
    data = SyntheticData(Shades(2.0), batch_size=8, steps_per_epoch=2, eval_size=16)
    model = tiny(likelihood=Gaussian())
    trainer(tmp_path).fit(model, data)
    assert data.dataset.images(torch.tensor([15])).max() == 2
