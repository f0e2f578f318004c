"""Training, validation and test batches of any factor data set, single images or pairs."""

import math

import torch
from torch import Tensor

from disentangle_pl.data.draws import Draws, Shard
from disentangle_pl.data.factors import Batch, FactorDataset
from disentangle_pl.data.module import ImageData, check_counts
from disentangle_pl.data.pairs import GroupSampler
from disentangle_pl.errors import InputError

APPEARANCES = 2**24  # of a grid point whose image is random: numbers of pixels of all of them fit into 64 bits


class ResidentImages(FactorDataset):
    """All images of a factor data set, rendered once and kept on the device that asks for them, number for number.

    They are kept as bytes if all of them are multiples of 1/255 between 0 and 1, and as float32 otherwise.

    Args:
        dataset: The images.
        pixels: All of them (N, C, *S), uint8 or float32, as `render` returns them.
    """

    def __init__(self, dataset: FactorDataset, pixels: Tensor) -> None:
        self.shape, self.factors = dataset.shape, dataset.factors
        self.pixels = pixels

    def images(self, index: Tensor) -> Tensor:
        """Look the images up."""
        if self.pixels.device != index.device:
            self.pixels = self.pixels.to(index.device)
        return _as_floats(self.pixels[index])


def render(dataset: FactorDataset, budget: float = math.inf, chunk: int = 512) -> Tensor | None:
    """Render all images of a data set as they are kept in memory.

    Args:
        dataset: The images.
        budget: How many bytes they may take.
        chunk: Images rendered at a time.

    Returns:
        (N, C, *S) uint8 if 1/255 of them is what the data set gives to the last bit, else float32; None if they take
        more than the budget.
    """
    pieces: list[Tensor] = []
    exact, numbers = True, len(dataset) * math.prod(dataset.shape)
    for rows in torch.split(torch.arange(len(dataset)), chunk):
        if numbers * (1 if exact else 4) > budget:
            return None
        images = dataset.images(rows).float()
        if exact:
            in_bytes = (images.nan_to_num() * 255).round().clamp(0, 255).byte()
            exact = torch.equal(_as_floats(in_bytes), images)
            pieces = pieces if exact else [_as_floats(piece) for piece in pieces]
        pieces.append(in_bytes if exact else images)
    return torch.cat(pieces) if numbers * pieces[0].element_size() <= budget else None


def _as_floats(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


class SyntheticData(ImageData):
    """Batches of a data set whose factors are known.

    The loaders carry grid indices only; the images appear on the training device after the transfer, looked up when the
    whole grid fits into `resident_mib`, rendered or decoded otherwise; the numbers are the same either way. Training
    draws with replacement; evaluation uses one fixed sample, the same for every seed, drawn as in the study of
    Locatello et al. 2019. What is random in an image is drawn anew whenever it is trained on, from the same stream as
    the index, and stays the same in evaluation.

    Args:
        dataset: The images and their factor grid.
        pairs: How the images of a pair, or of a larger group, differ; null trains on single images.
        batch_size: Examples (images, or pairs) a process and step.
        steps_per_epoch: Steps between two validations.
        eval_size: Points of the validation sample, and of the independent test sample; probes of the scores are tested
            on a third of them.
        eval_batch_size: Images a validation batch.
        seed: Seed of the training draws; the command line links it to `seed_everything`.
        resident_mib: Keep the images on the device when they take at most so many MiB: a byte a pixel and channel if
            their values are multiples of 1/255 in [0, 1], four bytes otherwise.

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
        """Render the whole grid once if it fits; images with something drawn by chance are never kept."""
        if not self.dataset.stochastic and not isinstance(self.dataset, ResidentImages):
            pixels = render(self.dataset, self.resident_mib * 2**20)
            self.dataset = self.dataset if pixels is None else ResidentImages(self.dataset, pixels)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw n training examples: index (n,) of images, or (n, G) and the changed factors (n, k)."""
        space = self.dataset.factors
        if self.pairs is None:
            return (self._appearance(torch.randint(len(space), (n,), generator=generator), generator),)
        factors, changed = self.pairs.sample(space, n, generator)
        return self._appearance(space.to_index(factors), generator), changed

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
        images = self.dataset.images(index.flatten()).float().reshape(*index.shape, *self.shape)
        return Batch(images, self.dataset.factors.to_factors(index), batch[1] if len(batch) > 1 else None)

    def _appearance(self, index: Tensor, generator: torch.Generator) -> Tensor:
        if not self.dataset.stochastic:
            return index
        return index + len(self.dataset) * torch.randint(APPEARANCES, index.shape, generator=generator)

    def _sample(self, seed: int) -> Shard:
        index = torch.randint(len(self.dataset), (self.eval_size,), generator=torch.Generator().manual_seed(seed))
        return Shard(index, self.eval_batch_size, *self.place)
