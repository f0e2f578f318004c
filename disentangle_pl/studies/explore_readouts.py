"""What is known of the images that are explored, in words, and the probes of all of it."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Codes
from disentangle_pl.studies.explore_fits import fit_classes, fit_quantity
from disentangle_pl.studies.explore_probes import Probe

TRAITS = ("sex", "diagnosis")
UNKNOWN = "unknown"


class Known(NamedTuple):
    """What is known of images.

    Attributes:
        names: Of the k factors.
        values: (N, k) of the images that were encoded: integers are classes, floats quantities with NaN for unknown.
        traits: Classes of all scans by name, missing where unknown; of brain scans alone.
    """

    names: tuple[str, ...]
    values: NDArray[Any]
    traits: pd.DataFrame

    def at(self, index: int, factors: NDArray[Any]) -> dict[str, str]:
        """Say what is known of an image, with its factors (k,); nothing where nothing is."""
        whole = factors.dtype.kind != "f"
        found = {
            name: UNKNOWN if np.isnan(value) else f"{int(value)}" if whole else f"{value:.4g}"
            for name, value in zip(self.names, factors, strict=True)
        }
        traits = (
            {} if self.traits.empty else {str(name): _word(value) for name, value in self.traits.loc[index].items()}
        )
        everything = found | traits
        return everything if set(everything.values()) - {UNKNOWN} else {}


def known_of(data: ImageData, factors: NDArray[Any]) -> Known:
    """Collect the factors (N, k) of encoded images, and of brain scans sex and diagnosis, where they vary."""
    traits = pd.DataFrame()
    if isinstance(data, LongitudinalData):
        wanted = [name for name in TRAITS if name not in data.factor_names and data.visits[name].nunique() > 1]
        traits = data.visits[wanted]
    return Known(data.factor_names, factors, traits)


def probes_of(known: Known, codes: Codes, rows: NDArray[np.int64], train: int, people: People) -> tuple[Probe, ...]:
    """Fit a probe to everything that varies.

    A factor of whole numbers is read as a number where that explains more of it on images held out (R²) than classes
    get right (accuracy), as with positions, of which there are many in an order.

    Args:
        known: What is known.
        codes: (N, d), the training codes first.
        rows: (N,) which images they are of.
        train: How many are training codes.
        people: (train,) whose they are.
    """
    parts = codes[:train], codes[train:]
    found: list[Probe | None] = []
    for name, values in zip(known.names, known.values.T, strict=True):
        numbers = values.astype(np.float64)
        quantity = fit_quantity(name, (parts[0], numbers[:train]), (parts[1], numbers[train:]), people)
        if values.dtype.kind == "f":
            found.append(quantity)
        else:
            labels = [str(number) for number in range(int(values.max(initial=0)) + 1)]
            classes = fit_classes(name, (parts[0], values[:train]), (parts[1], values[train:]), labels)
            found.append(_better(quantity, classes))
    for name in known.traits.columns:
        numbers, words = pd.factorize(known.traits[name].iloc[rows], sort=True)
        split_numbers = (parts[0], numbers[:train]), (parts[1], numbers[train:])
        found.append(fit_classes(str(name), *split_numbers, [str(word) for word in words]))
    return tuple(probe for probe in found if probe is not None)


def _better(quantity: Probe | None, classes: Probe | None) -> Probe | None:
    if quantity is None or classes is None:
        return classes or quantity
    return quantity if quantity.score > classes.score else classes


def _word(value: Any) -> str:
    return UNKNOWN if pd.isna(value) else str(value)
