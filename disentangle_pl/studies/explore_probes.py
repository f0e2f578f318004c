"""What codes say of a factor, and which codes would say something else: probes that also lead back."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.logistic import LinearProbe
from disentangle_pl.metrics.prediction_probes import Path
from disentangle_pl.metrics.score import Values

SILENT = "the codes say nothing of {name} beyond its mean, so no change of them would set it"


@dataclass(frozen=True)
class Probe(ABC):
    """A factor as a linear probe reads it from codes.

    Attributes:
        name: Of the factor.
        score: On images that the probe was not fitted to: R² of a quantity, accuracy of classes; NaN without any.
        chance: What the score would be without codes.
    """

    name: str
    score: float
    chance: float

    @property
    @abstractmethod
    def choices(self) -> tuple[str, ...]:
        """The classes by name, or nothing for a quantity."""

    @abstractmethod
    def says(self, codes: Values) -> str:
        """Say what codes (d,) hold of the factor."""

    @abstractmethod
    def moved(self, codes: Values, value: float) -> Values:
        """Return codes (d,) that hold another value of the factor, a quantity or the number of a class.

        Raises:
            InputError: If there is no such value, or codes know nothing of the factor.
        """

    def trust(self) -> str:
        """Say how good the probe is."""
        if np.isnan(self.score):
            return "not known: nothing was held out"
        kind = "accuracy" if self.choices else "R²"
        return f"{kind} {self.score:.2f}" + (f", chance {self.chance:.2f}" if self.choices else "")


@final
@dataclass(frozen=True)
class Quantity(Probe):
    """A number, read by ridge regression.

    Attributes:
        path: The one fitted probe.
        covariance: (d, d) of the training codes.
        low: Smallest training value.
        high: Largest training value.
    """

    path: Path
    covariance: Values
    low: float
    high: float

    @property
    def choices(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def value(self, codes: Values) -> float:
        """Read codes (d,)."""
        return float(self.path.values(codes[None])[0, 0])

    def says(self, codes: Values) -> str:
        """Write the quantity with three digits."""
        return f"{self.value(codes):.4g}"

    def moved(self, codes: Values, value: float) -> Values:
        """Change codes as little as their training covariance S allows, so that the probe w reads the value.

        z + S w (v - w z) / (w S w): the nearest codes in Mahalanobis distance, along what changes with the prediction
        in the training codes (the pattern of Haufe et al. 2014, NeuroImage 87:96), and not along w itself, which also
        holds what cancels noise.

        Raises:
            InputError: If the value is not finite, or the probe uses no latent.
        """
        if not np.isfinite(value):
            raise InputError(f"{self.name} cannot be set to {value}: give a number")
        weights = self.path.slopes[0] / self.path.scale
        pattern = self.covariance @ weights
        power = float(weights @ pattern)
        if power <= 1e-12 * max(self.high - self.low, 1e-12) ** 2:
            raise InputError(SILENT.format(name=self.name))
        return np.asarray(codes + pattern * ((value - self.value(codes)) / power), dtype=np.float64)


@final
@dataclass(frozen=True)
class Classes(Probe):
    """One of several classes, read by logistic regression.

    Attributes:
        labels: The names of the classes.
        fitted: The probe, of codes in standard deviations.
        centre: (d,) means of the training codes.
        spread: (d,) their standard deviations.
        means: (c, d) mean training codes of every class.
    """

    labels: tuple[str, ...]
    fitted: LinearProbe
    centre: Values
    spread: Values
    means: Values

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.labels

    def chances(self, codes: Values) -> Values:
        """Return the chance (c,) of every class, given codes (d,)."""
        inputs = ((codes - self.centre) / self.spread)[None].astype(np.float32)
        return np.asarray(self.fitted.chances(inputs)[0], dtype=np.float64)

    def says(self, codes: Values) -> str:
        """Name the likeliest class and its chance."""
        chances = self.chances(codes)
        return f"{self.labels[chances.argmax()]} ({chances.max():.0%})"

    def moved(self, codes: Values, value: float) -> Values:
        """Add how much the mean training codes of a class differ from those of the classes that the codes hold now.

        Where factors are drawn independently this is the mean effect of the factor on the codes.

        Raises:
            InputError: If there is no such class.
        """
        if value not in range(len(self.labels)):
            raise InputError(f"{self.name} has no class number {value:g}: it has {len(self.labels)}, from 0")
        return np.asarray(codes + self.means[int(value)] - self.chances(codes) @ self.means, dtype=np.float64)
