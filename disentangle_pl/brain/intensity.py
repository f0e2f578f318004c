"""Maps from the arbitrary units of a scanner to numbers that scans share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from disentangle_pl.brain.foreground import foreground
from disentangle_pl.brain.nifti import Voxels
from disentangle_pl.errors import InputError


class Intensity(ABC):
    """A map of the intensities of one volume; its parameters are dataclass fields."""

    @abstractmethod
    def __call__(self, values: Voxels) -> Voxels:
        """Map a volume (D, H, W) with background 0.

        Raises:
            InputError: If the volume has too few different values; the sentence begins with a verb.
        """


@dataclass(frozen=True)
class Percentiles(Intensity):
    """Two percentiles become 0 and 1, and what is beyond is clipped.

    Args:
        low: In 0..100.
        high: In 0..100, above `low`.

    Raises:
        InputError: If they are not in order.
    """

    low: float = 0.5
    high: float = 99.5

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise InputError(f"percentiles {self.low} and {self.high} must be two in order, from 0 to 100")

    def __call__(self, values: Voxels) -> Voxels:
        """Map (D, H, W) to [0, 1]."""
        low, high = np.percentile(values, (self.low, self.high))
        if low == high:
            raise InputError(f"has one value {low:g} from percentile to percentile: check size and spacing")
        scaled: Voxels = (np.clip(values, low, high) - low) / (high - low)
        return scaled


@dataclass(frozen=True)
class Window(Intensity):
    """Two intensities become 0 and 1 in every scan alike; nothing is clipped.

    For scans whose units mean the same: what differs in brightness from scan to scan stays in the images.

    Args:
        low: Becomes 0.
        high: Becomes 1, above `low`.

    Raises:
        InputError: If they are not in order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError(f"intensities {self.low:g} and {self.high:g} must be two in order")

    def __call__(self, values: Voxels) -> Voxels:
        """Map (D, H, W)."""
        if values.min() == values.max():
            raise InputError(f"has one value {values.min():g} everywhere: check size and spacing")
        scaled: Voxels = (values - self.low) / (self.high - self.low)
        return scaled


@dataclass(frozen=True)
class ZScore(Intensity):
    """Mean 0 and standard deviation 1 over the foreground (the brain of a stripped scan, else the head); no clipping.

    The map is linear, so the background becomes one negative number, which differs between scans.
    """

    def __call__(self, values: Voxels) -> Voxels:
        """Standardise (D, H, W)."""
        inside = values[foreground(values)].astype(np.float64)
        if not len(inside) or inside.std() == 0:
            raise InputError("has no two values in its foreground: check size and spacing")
        scaled: Voxels = ((values - inside.mean()) / inside.std()).astype(np.float32)
        return scaled
