"""Maps from the arbitrary units of a scanner to numbers that scans share."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from disentangle_pl.brain.foreground import foreground
from disentangle_pl.brain.nifti import Voxels
from disentangle_pl.errors import InputError

PERCENTILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
"""Of the foreground, between which `Histogram` maps linearly."""
BINS, RARE, TISSUES = 256, 0.2, 3
SMOOTH, SMOOTHER = 4.0, 1.25  # standard deviation in bins, and the factor by which it grows

Landmarks = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class WhiteStripe(Intensity):
    """Normal-appearing white matter has mean 0 and standard deviation 1; for T1-weighted brains without skull.

    The peak of white matter is the brightest one of the smoothed histogram of the foreground; the stripe is what lies
    within `width` of its quantile. The map is linear: what scanners do to contrast stays, and the background becomes
    one negative number, which differs between scans. The unit is the spread within the stripe, which grows with noise,
    and is a small part of the distance of grey from white matter, so that values reach far below 0.

    Args:
        width: Share of the foreground on either side of the peak, in (0, 0.5).

    Raises:
        InputError: If the width makes no sense.

    Source: Shinohara et al. 2014, Statistical normalization techniques for magnetic resonance imaging, NeuroImage:
        Clinical 6:9, section 2.3.
    """

    width: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.width < 0.5:
            raise InputError(f"the width {self.width:g} of a white stripe must lie between 0 and 0.5")

    def __call__(self, values: Voxels) -> Voxels:
        """Standardise (D, H, W)."""
        inside = values[foreground(values)].astype(np.float64)
        if len(inside) < BINS or np.ptp(inside) == 0:
            raise InputError(f"has {len(inside)} voxels in its foreground, too few to find white matter: check spacing")
        middle = float((inside < white_peak(inside)).mean())
        low, high = np.quantile(inside, (max(middle - self.width, 0.0), min(middle + self.width, 1.0)))
        stripe = inside[(inside >= low) & (inside <= high)]
        if stripe.std() == 0:
            raise InputError(f"has one value {low:g} in all of its white matter: check size and spacing")
        scaled: Voxels = ((values - stripe.mean()) / stripe.std()).astype(np.float32)
        return scaled


@dataclass(frozen=True)
class Histogram(Intensity):
    """Percentiles of the foreground become those of a standard, and what lies between goes linearly.

    The background, 0, stays 0; below the first landmark the line goes through it, above the last one the slope stays.
    A map that bends evens out gain and contrast, and with them a part of what disease does to the shares of tissues.

    Args:
        landmarks: (11,) the standard's intensities at the percentiles 1, 10, 20, ..., 90 and 99, of `learnt_landmarks`;
            above 0 and rising.

    Raises:
        InputError: If they are not.

    Source: Nyul, Udupa and Zhang 2000, New variants of a method of MRI scale standardization, IEEE Transactions on
        Medical Imaging 19:143, after Nyul and Udupa 1999, Magnetic Resonance in Medicine 42:1072.
    """

    landmarks: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.landmarks) != len(PERCENTILES) or not (np.diff([0.0, *self.landmarks]) > 0).all():
            raise InputError(
                f"a standard histogram has {len(PERCENTILES)} landmarks above 0 that rise, and not {self.landmarks}"
            )

    def __call__(self, values: Voxels) -> Voxels:
        """Map (D, H, W)."""
        own, standard = np.append(0.0, landmarks_of(values)), np.append(0.0, self.landmarks)
        slopes = np.diff(standard) / np.diff(own)
        inside = np.interp(values, own, standard)
        beyond = np.minimum(values, 0.0) * slopes[0] + np.maximum(values - own[-1], 0.0) * slopes[-1]
        scaled: Voxels = (inside + beyond).astype(np.float32)
        return scaled


def white_peak(inside: npt.NDArray[np.float64]) -> float:
    """Return where the brightest tissue of a T1-weighted brain is most frequent.

    The histogram is smoothed until it has three peaks at most, each at least a fifth as high as the highest.

    Args:
        inside: (n,) intensities of the foreground.
    """
    counts, edges = np.histogram(inside, BINS, (inside.min(), np.quantile(inside, 0.999)))
    width = SMOOTH
    while True:
        smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), width, mode="constant")
        middle = smooth[1:-1]
        high = (middle > smooth[:-2]) & (middle >= smooth[2:]) & (middle >= RARE * smooth.max())
        peaks = 1 + np.flatnonzero(high)
        if len(peaks) <= TISSUES:
            break
        width *= SMOOTHER
    best = peaks[-1] if len(peaks) else np.argmax(smooth)
    return float((edges[best] + edges[best + 1]) / 2)


def landmarks_of(values: Voxels) -> Landmarks:
    """Return the percentiles (11,) of the foreground of a volume (D, H, W) with background 0.

    Raises:
        InputError: If two are equal; the sentence begins with a verb.
    """
    inside = values[foreground(values)].astype(np.float64)
    percentiles = np.percentile(inside, PERCENTILES) if len(inside) else np.zeros(len(PERCENTILES))
    if not (np.diff(percentiles) > 0).all():
        raise InputError("has too few different values in its foreground for a histogram: check size and spacing")
    return np.asarray(percentiles, dtype=np.float64)


def learnt_landmarks(scans: Sequence[Landmarks]) -> tuple[float, ...]:
    """Average the landmarks (11,) of scans, each scaled so that the first and last ones agree; the last becomes 1.

    Args:
        scans: Of `landmarks_of`, at least one.
    """
    table = np.stack(scans)
    first, last = table[:, :1], table[:, -1:]
    low = float((first / last).mean())
    standard = low + (1 - low) * ((table - first) / (last - first)).mean(axis=0)
    return tuple(standard.tolist())


def read_landmarks(path: Path) -> tuple[float, ...]:
    """Read landmarks of a JSON file with `landmarks`, or of the prepared.json of a folder of prepared scans.

    Raises:
        InputError: If it cannot be read, or has none.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return tuple(float(value) for value in (facts.get("settings", {}).get("intensity", {}) | facts)["landmarks"])
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(
            f"{path} has no landmarks ({type(error).__name__}): give the prepared.json of scans prepared with "
            'histograms, or a JSON file with {"landmarks": [11 rising numbers]}'
        ) from error
