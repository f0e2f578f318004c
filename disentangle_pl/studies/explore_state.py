"""Where an exploration stands, and the moves that change it: each gives a new state and leaves the old one alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.studies.explore import Explored, Start
from disentangle_pl.studies.explore_probes import Probe
from disentangle_pl.studies.interventions import swapped, with_values

SCALES = (1.0, 2.0, 5.0, 10.0)
FINEST = 0.01
ROUNDING = 1e-6  # of single precision


@dataclass(frozen=True)
class State:
    """Where an exploration stands.

    Attributes:
        start: What it starts from.
        codes: (d,) the codes now.
    """

    start: Start
    codes: Tensor

    def moved(self, latent: int, value: float) -> "State":
        """Set one latent.

        Raises:
            InputError: If there is no such latent, or the value is not finite.
        """
        if not np.isfinite(value):
            raise InputError(f"latent {latent} cannot be set to {value}: give a number")
        return replace(self, codes=with_values(self.codes, {latent: value}))

    def restored(self, latent: int) -> "State":
        """Put one latent back to where it started."""
        return replace(self, codes=swapped(self.codes, self.start.codes, [latent]))

    def reset(self) -> "State":
        """Put all latents back to where they started."""
        return replace(self, codes=self.start.codes)

    def swapped(self, other: Start, latents: Sequence[int]) -> "State":
        """Take some latents from another image.

        Raises:
            InputError: If none is chosen, or one does not exist.
        """
        if not latents:
            raise InputError("no latent is chosen to be taken from the other image: choose some")
        return replace(self, codes=swapped(self.codes, other.codes, list(latents)))

    def set_to(self, probe: Probe, value: float) -> "State":
        """Set a factor or covariate, as its probe reads it.

        Raises:
            InputError: If it cannot be set so.
        """
        codes = probe.moved(self.codes.double().numpy(), value)
        return replace(self, codes=torch.from_numpy(codes).to(self.codes))

    def years(self, per_year: Tensor, years: float) -> "State":
        """Move the latents that age, by their slopes (d,) a year.

        Raises:
            InputError: If years are not finite, or no latent ages.
        """
        if not np.isfinite(years):
            raise InputError(f"{years} years cannot be added: give a number")
        if not per_year.any():
            raise InputError("no latent changes with age beyond chance, so years change nothing")
        return replace(self, codes=self.codes + years * per_year)


class View(NamedTuple):
    """What a state looks like.

    Attributes:
        decoded: (C, *S) the image of the codes.
        difference: (*S,) decoded less the image of the codes at the start, the mean over channels.
        limit: Where the scale of the difference ends, either way.
        says: What the codes hold of each factor and covariate, in words.
    """

    decoded: Tensor
    difference: Tensor
    limit: float
    says: dict[str, str]


def begin(start: Start) -> State:
    """Stand at a start."""
    return State(start, start.codes)


def view(model: Explored, state: State) -> View:
    """Decode a state, and read its codes."""
    decoded = model.decode(state.codes)
    difference = (decoded - state.start.decoded).mean(0)
    codes = state.codes.double().numpy()
    return View(decoded, difference, limit_of(difference), {probe.name: probe.says(codes) for probe in model.probes})


def limit_of(difference: Tensor) -> float:
    """Return where a scale ends: the 99.5 % quantile of the size, at least 0.01, up to the next 1, 2 or 5 x 10^n."""
    size = max(float(np.quantile(difference.abs().numpy(), 0.995)), FINEST)
    power = 10.0 ** np.floor(np.log10(size) + ROUNDING)
    return float(next(power * scale for scale in SCALES if power * scale >= size * (1 - ROUNDING)))
