"""Training, validation and test batches of any factor data set, single images or pairs."""

import math

import torch
from torch import Tensor

from disentangle_pl.data.draws import Draws, Shard
from disentangle_pl.data.factors import Batch, FactorDataset
from disentangle_pl.data.module import ImageData, check_counts
from disentangle_pl.data.pairs import GroupSampler
from disentangle_pl.errors import InputError


class ResidentImages(FactorDataset):
    """All images of a factor data set, rendered once and kept as bytes on the device that asks for them.

    Args:
        dataset: Its images must be multiples of 1/255.
        chunk: Images rendered at a time.
    """

    def __init__(self, dataset: FactorDataset, chunk: int = 512) -> None:
        self.shape, self.factors = dataset.shape, dataset.factors
        pieces = torch.split(torch.arange(len(dataset)), chunk)
        self.bytes = torch.cat([(dataset.images(piece) * 255).round().byte() for piece in pieces])

    def images(self, index: Tensor) -> Tensor:
        """Look the images up."""
        if self.bytes.device != index.device:
            self.bytes = self.bytes.to(index.device)
        return self.bytes[index].float().div_(255)


class SyntheticData(ImageData):
    """Batches of a data set whose factors are known.

    The loaders carry grid indices only; the images appear on the training device after the transfer, looked up when the
    whole grid fits into `resident_mib`, rendered or decoded otherwise. Training draws with replacement; evaluation uses
    one fixed sample, the same for every seed, drawn as in the study of Locatello et al. 2019.

    Args:
        dataset: The images and their factor grid.
        pairs: How the images of a pair, or of a larger group, differ; null trains on single images.
        batch_size: Examples (images, or pairs) a process and step.
        steps_per_epoch: Steps between two validations.
        eval_size: Points of the validation sample, and of the independent test sample; probes of the scores are tested
            on the last third.
        eval_batch_size: Images a validation batch.
        seed: Seed of the training draws; the command line links it to `seed_everything`.
        resident_mib: Keep the images on the device when they take at most so many MiB.

    Raises:
        InputError: If a number of images or steps is too small, or the factor grid is too small for the pairs.
    """

    def __init__(
        self,
        dataset: FactorDataset,
        pairs: GroupSampler | None = None,
        batch_size: int = 64,
        steps_per_epoch: int = 1000,
        eval_size: int = 15_000,
        eval_batch_size: int = 256,
        seed: int = 0,
        resident_mib: int = 512,
    ) -> None:
        super().__init__()
        check_counts(
            batch_size=batch_size, steps_per_epoch=steps_per_epoch, eval_size=eval_size, eval_batch_size=eval_batch_size
        )
        if eval_size < 2:
            raise InputError(f"eval_size must be at least 2, got {eval_size}: one image has no spread")
        self.dataset = dataset
        self.pairs = pairs
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.eval_size = eval_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.resident_mib = resident_mib
        if pairs:
            pairs.sample(dataset.factors, 1, torch.Generator())  # refuses impossible pairs

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *S) of one image."""
        return self.dataset.shape

    @property
    def group(self) -> int:
        """How many images form an example: 2 for pairs, 1 for single images."""
        return self.pairs.size if self.pairs else 1

    @property
    def train_size(self) -> int:
        """The number of images of the grid."""
        return len(self.dataset)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The names of the ground-truth factors."""
        return self.dataset.factors.names

    @property
    def nuisance(self) -> tuple[str, ...]:
        """The names of factors that tell images apart but are not scored."""
        return self.dataset.factors.nuisance

    def setup(self, stage: str) -> None:
        """Render the whole grid once if it fits."""
        small = len(self.dataset) * math.prod(self.shape) <= self.resident_mib * 2**20
        if small and not isinstance(self.dataset, ResidentImages):
            self.dataset = ResidentImages(self.dataset)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw n training examples: grid index (n,), or (n, G) and the changed factors (n, k)."""
        space = self.dataset.factors
        if self.pairs is None:
            return (torch.randint(len(space), (n,), generator=generator),)
        factors, changed = self.pairs.sample(space, n, generator)
        return space.to_index(factors), changed

    def train_dataloader(self) -> Draws:
        """Endless draws, cut into epochs of `steps_per_epoch`."""
        return self.resumed(Draws(self.draw, self.batch_size, self.steps_per_epoch, self.seed, *self.place))

    def val_dataloader(self) -> Shard:
        """The fixed validation sample."""
        return self._sample(0)

    def test_dataloader(self) -> Shard:
        """A second sample, independent of the first."""
        return self._sample(1)

    def predict_dataloader(self) -> Shard:
        """Every image of the grid in index order."""
        return Shard(torch.arange(len(self.dataset)), self.eval_batch_size, *self.place)

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> Batch:
        """Turn grid indices (B,) or (B, G) into images on their device."""
        index = batch[0]
        images = self.dataset.images(index.flatten()).reshape(*index.shape, *self.shape)
        return Batch(images, self.dataset.factors.to_factors(index), batch[1] if len(batch) > 1 else None)

    def _sample(self, seed: int) -> Shard:
        index = torch.randint(len(self.dataset), (self.eval_size,), generator=torch.Generator().manual_seed(seed))
        return Shard(index, self.eval_batch_size, *self.place)
