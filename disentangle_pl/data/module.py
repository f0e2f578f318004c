"""What a model, a callback and the command line may expect of any data module."""

from abc import ABC, abstractmethod

from lightning.pytorch import LightningDataModule


class ImageData(LightningDataModule, ABC):
    """A data module that knows the shape of its images before any image is read.

    Training batches are `Batch(image, factors, changed)` with image (B, C, *S), or (B, G, C, *S) when `group` is G > 1.
    Validation, test and predict batches are always single images (B, C, *S).
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(C, *S) of one image; reaches the model through a link of the command line."""

    @property
    @abstractmethod
    def group(self) -> int:
        """How many images form one training example: 1 for single images, 2 for pairs."""

    @property
    @abstractmethod
    def factor_names(self) -> tuple[str, ...]:
        """The names of the k columns of `Batch.factors`."""
