"""A trained model opened to be explored: its latents, its images, and what its codes say of factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.draws import Shard
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.explore_latents import Latent, latents_of
from disentangle_pl.studies.explore_probes import Probe
from disentangle_pl.studies.explore_readouts import Known, known_of, probes_of
from disentangle_pl.studies.exposure import Exposure, exposure_to, print_cautions, sides_by
from disentangle_pl.studies.scan_codes import ScanCodes
from disentangle_pl.studies.scene import Scene, scene_of

FEWEST, MOST, NUMBERS = 300, 6000, 2**26  # images that are encoded, and numbers that they may hold
BATCH_NUMBERS = 2**20


class Start(NamedTuple):
    """What an exploration starts from.

    Attributes:
        name: In words.
        image: (C, *S), None for the mean of the prior, which is no image of the data.
        codes: (d,) posterior mean.
        decoded: (C, *S) what the model makes of the codes.
        truth: The factors in words.
    """

    name: str
    image: Tensor | None
    codes: Tensor
    decoded: Tensor
    truth: dict[str, str]


@dataclass(frozen=True)
class Explored:
    """A model, its data, and all that holds for every picture; nothing in it changes.

    Attributes:
        name: Of the run.
        model: In evaluation mode.
        data: Set up.
        latents: By falling KL.
        probes: Of the factors and covariates that vary.
        known: The true values.
        count: How many images there are.
        scene: Where volumes lie.
        scans: All codes of brain scans; None for other images.
        cautions: What is said first: whether people who ought to be new have been seen.
    """

    name: str
    model: VAE
    data: ImageData
    latents: tuple[Latent, ...]
    probes: tuple[Probe, ...]
    known: Known
    count: int
    scene: Scene
    scans: ScanCodes | None
    cautions: tuple[str, ...] = ()

    @property
    def visits(self) -> pd.DataFrame | None:
        """The table of scans; None for other images."""
        return self.scans.visits if self.scans else None

    @cached_property
    def prior_mean(self) -> Start:
        """The middle of the prior."""
        codes = torch.zeros(len(self.latents))
        return Start("the mean of the prior", None, codes, self.decode(codes), {})

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (d,) to an image (C, *S) on the CPU."""
        return self.model.decode(codes[None].to(self.model.device))[0].float().cpu()

    @torch.no_grad()
    def start(self, index: int) -> Start:
        """Look up an image.

        Raises:
            InputError: If there is no such image.
        """
        if not 0 <= index < self.count:
            raise InputError(f"there is no image {index}: there are {self.count}, from 0 to {self.count - 1}")
        batch = self.data.on_after_batch_transfer((torch.tensor([index]).to(self.model.device),), 0)
        codes = self.model.encode(batch.image).mean[0].float().cpu()
        truth = self.known.at(index, batch.factors[0].cpu().numpy())
        return Start(self.name_of(index), batch.image[0].cpu(), codes, self.decode(codes), truth)

    def name_of(self, index: int) -> str:
        """Name an image: scans by person and visit."""
        if self.visits is None:
            return f"image {index}"
        row = self.visits.loc[index]
        return f"{row['participant_id']} {row['session_id']}"

    def people(self) -> dict[str, dict[int, str]]:
        """Return the scans of every person by row, with the names of the visits, in their order."""
        if self.visits is None:
            return {}
        found: dict[str, dict[int, str]] = {}
        for row, who, when in zip(
            self.visits.index.tolist(), self.visits["participant_id"], self.visits["session_id"], strict=True
        ):
            found.setdefault(str(who), {})[row] = str(when)
        return found


def explored(checkpoint: Path, data: ImageData) -> Explored:
    """Open a model with the data it is explored on.

    Of a grid of factors up to 6,000 different images are drawn, of which two thirds are what ranges and probes are
    fitted to and one third is held out; of brain scans all are encoded, and nobody whom the
    model was trained on is held out.

    Args:
        checkpoint: Of a model of this package.
        data: Of its shape.

    Raises:
        InputError: If the checkpoint cannot be read safely or does not fit the data, or the data are not there.
    """
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    check_fits(model, data)
    data.prepare_data()
    data.setup("predict")
    count = sum(len(rows) for (rows,) in data.predict_dataloader())
    name = run_names([checkpoint])[0]
    exposed = exposure_to(model.provenance, data, name) if isinstance(data, LongitudinalData) else None
    train, test = _parts(data, count, exposed)
    every = np.concatenate((train, test))
    size = max(1, BATCH_NUMBERS // prod(data.shape))
    q, codes, factors = posteriors(model, data, Shard(torch.from_numpy(every), size))
    seen = slice(len(train))
    known = known_of(data, factors)
    people = np.arange(len(train))
    scans = None
    if isinstance(data, LongitudinalData) and exposed is not None:
        people = data.visits["participant_id"].factorize()[0].astype(np.int64)[train]
        mean = torch.zeros(count, q.mean.shape[1])
        mean[torch.from_numpy(every)] = q.mean
        scans = ScanCodes(mean, data.visits, train, test, exposed)
    probes = probes_of(known, codes, every, len(train), people)
    latents = latents_of(DiagonalGaussian(q.mean[seen], q.logvar[seen]))
    cautions = exposed.cautions if exposed else ()
    print_cautions(cautions)
    return Explored(name, model, data, latents, probes, known, count, scene_of(data), scans, cautions)


def _parts(data: ImageData, count: int, exposed: Exposure | None = None) -> Sequence[NDArray[np.int64]]:
    """Choose the images that all is fitted to, and those held out."""
    if isinstance(data, LongitudinalData) and exposed is not None:
        train, *others = (part.index.to_numpy(np.int64, copy=True) for part in data.parts)
        return sides_by(exposed, train, np.concatenate(others))
    wanted = min(count, max(FEWEST, min(MOST, NUMBERS // prod(data.shape))))
    drawn = np.random.default_rng(0).permutation(count)[:wanted]
    return np.split(drawn, [max(wanted * 2 // 3, 1)])
