"""Codes of all scans by models, encoded once and kept."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.metrics.score import Values, check_codes
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.clinical_table import Name
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.latent_groups import Group, baseline_of, groups_of


class Encoded(NamedTuple):
    """A model and its codes.

    Attributes:
        name: Of the model, its setting and seed.
        codes: (N, d) posterior means of all scans.
        aggregated: Whether it shares latents within pairs.
    """

    name: Name
    codes: Values
    aggregated: bool


def encoded_models(
    checkpoints: Sequence[Path], data: LongitudinalData, digests: Sequence[str], folder: Path
) -> list[Encoded]:
    """Encode all scans by all models.

    Args:
        checkpoints: Of the models.
        data: Set up.
        digests: (N,) of the images.
        folder: Where codes are kept, under a name that says of which weights and images.

    Raises:
        InputError: If a checkpoint cannot be read or does not fit the images, or a code is not finite.
    """
    names = run_names(checkpoints)
    groups = groups_of(checkpoints, names)
    return [
        _encoded(path, Name(group.name, name, group.seed), data, digests, folder)
        for path, group, name in zip(checkpoints, groups, names, strict=True)
    ]


def reference(models: Sequence[Encoded], checkpoints: Sequence[Path], baseline: Sequence[Path]) -> str | None:
    """Return the setting of the baseline: that of its checkpoints, or the only one without aggregation; None if alone.

    Args:
        models: All.
        checkpoints: Of the same.
        baseline: Some of them.
    """
    if len({each.name.setting for each in models}) < 2:
        return None
    if baseline:
        return models[list(checkpoints).index(baseline[0])].name.setting
    groups = [Group(each.name.setting, each.name.seed) for each in models]
    return baseline_of(groups, [each.aggregated for each in models])


def _encoded(path: Path, name: Name, data: LongitudinalData, digests: Sequence[str], folder: Path) -> Encoded:
    model = load_model(path)
    check_fits(model, data)
    said = hashlib.sha256(path.read_bytes())
    said.update(repr(list(digests)).encode())
    kept = folder / f"codes-{said.hexdigest()[:32]}.npy"
    if kept.is_file():
        codes = np.load(kept)
    else:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        codes = posteriors(model.to(device), data, data.predict_dataloader(), f"encoding {name.model}")[1]
        folder.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{kept.name}")
        with part.open("wb") as file:
            np.save(file, codes)
        part.replace(kept)
    check_codes(codes)
    return Encoded(name, codes.astype(np.float64), model.aggregation is not None)
