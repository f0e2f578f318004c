"""The same images through the checkpoints of many runs, encoded once and remembered."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError, one_line
from disentangle_pl.metrics.score import Codes, Values
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.yaml_text import load_yaml

IMAGES = 1000


class Latents(NamedTuple):
    """What one model makes of the images.

    Attributes:
        codes: (N, d) posterior means.
        kl: (d,) mean KL divergence of every latent to the prior over these images, in nats.
    """

    codes: Codes
    kl: Values


class Encoder:
    """Encodes the first images of the validation sample, the same ones for all runs of a call.

    Args:
        cache: Folder that remembers codes by checkpoint (path, size, time of change) and data.
        images: How many images at most.
    """

    def __init__(self, cache: Path, images: int = IMAGES) -> None:
        self.cache = cache
        self.images = images
        self.encoded = 0
        self._data: dict[str, ImageData] = {}

    def __call__(self, folders: Sequence[Path]) -> tuple[dict[Path, Latents], dict[Path, str]]:
        """Encode the images of the first run with the last checkpoint of every run.

        Args:
            folders: Run folders that share their data.

        Returns:
            Latents by folder, and why the others have none.
        """
        latents: dict[Path, Latents] = {}
        refused: dict[Path, str] = {}
        for folder in folders:
            try:
                latents[folder] = self._latents(folder / "checkpoints" / "last.ckpt", data_settings(folders[0]))
            except InputError as error:
                refused[folder] = str(error)
        return latents, refused

    def _latents(self, checkpoint: Path, data: dict[str, Any]) -> Latents:
        if not checkpoint.is_file():
            raise InputError(f"there is no checkpoint at {checkpoint}: the run cannot be ranked by UDR")
        named = json.dumps(data, sort_keys=True, default=str)
        kept = self.cache / f"{_fingerprint(checkpoint, named, self.images)}.npz"
        return _read(kept) or self._encode(checkpoint, data, named, kept)

    def _encode(self, checkpoint: Path, data: dict[str, Any], named: str, kept: Path) -> Latents:
        if named not in self._data:
            self._data[named] = make_data(data)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        latents = encode_first(load_model(checkpoint).to(device), self._data[named], self.images)
        self.encoded += 1
        self.cache.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".tmp.npz")
        np.savez(draft, codes=latents.codes, kl=latents.kl)
        draft.replace(kept)
        return latents


Encode = Callable[[Sequence[Path]], tuple[dict[Path, Latents], dict[Path, str]]]


@torch.no_grad()
def encode_first(model: VAE, data: ImageData, images: int) -> Latents:
    """Encode the first images of the validation sample, on the device of the model; factors are not needed.

    Args:
        model: The model.
        data: Its images; it is set up here.
        images: How many images at most.

    Raises:
        InputError: If the images have another shape than the model's, or a code is NaN or infinite.
    """
    if data.shape != model.backbone.shape:
        raise InputError(f"the model takes images of shape {model.backbone.shape}, but the data have {data.shape}")
    data.prepare_data()
    data.setup("validate")
    model.eval()
    seen = 0
    moments: list[DiagonalGaussian] = []
    for batch in data.val_dataloader():
        moved = tuple(tensor.to(model.device) for tensor in batch)
        q = model.encode(data.on_after_batch_transfer(moved, 0).image[: images - seen])
        moments.append(DiagonalGaussian(q.mean.cpu().double(), q.logvar.cpu().double()))
        seen += len(q.mean)
        if seen >= images:
            break
    q = DiagonalGaussian(torch.cat([m.mean for m in moments]), torch.cat([m.logvar for m in moments]))
    latents = Latents(q.mean.numpy(), q.kl().mean(0).numpy())
    if not all(np.isfinite(values).all() for values in latents):
        raise InputError("the codes are NaN or infinite: the run has diverged")
    return latents


def data_settings(folder: Path) -> dict[str, Any]:
    """Return the `data` of the configuration of a run.

    Raises:
        InputError: If the run has none that can be read.
    """
    try:
        data = load_yaml((folder / "config.yaml").read_bytes())["data"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"{folder / 'config.yaml'} does not say which data the run had") from error
    if not isinstance(data, dict):
        raise InputError(f"{folder / 'config.yaml'} does not say which data the run had")
    return data


def make_data(settings: dict[str, Any]) -> ImageData:
    """Build the data module of a run from its settings (`class_path`, `init_args`).

    Raises:
        InputError: If the settings do not fit this version of the package.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ImageData, "data")
    try:
        made: ImageData = parser.instantiate(parser.parse_object({"data": settings})).data
    except (ArgumentError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the data of the run cannot be made any more ({one_line(str(error))})") from error
    return made


def _fingerprint(checkpoint: Path, data: str, images: int) -> str:
    status = checkpoint.stat()
    key = (str(checkpoint.resolve()), status.st_size, status.st_mtime_ns, data, images)
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def _read(path: Path) -> Latents | None:
    try:
        with np.load(path) as arrays:
            return Latents(arrays["codes"], arrays["kl"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
