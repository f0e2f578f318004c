"""Models from checkpoint files, without trusting the file."""

import pickle
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE

TRUSTED = ("disentangle_pl", "torch")


def load_model(path: str | Path, trusted: tuple[str, ...] = TRUSTED) -> VAE:
    """Restore any model that the command line trained, with its backbone, mask and aggregation, on the CPU.

    The file may hold tensors and plain values only: pickled code is refused, and so is every class outside the packages
    that the caller trusts.

    Args:
        path: A checkpoint.
        trusted: Top-level packages whose classes may be built; add your own for models of your own.

    Returns:
        The model in evaluation mode.

    Raises:
        InputError: If the file is missing, truncated, holds code, names an untrusted class, or is no model of ours.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no checkpoint at {file}: give the path of a .ckpt file of a run")
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{file} is not a checkpoint that can be read safely ({reason})") from error
    hparams = checkpoint.get("hyper_parameters", {}) if isinstance(checkpoint, dict) else {}
    name = hparams.get("_class_path")
    if not isinstance(name, str):
        raise InputError(f"{file} does not say which model it holds: only checkpoints of `disentangle-pl fit` can be loaded")
    for inner in _class_paths(hparams):
        if inner.split(".")[0] not in trusted:
            raise InputError(f"{file} wants to build {inner}, which is outside the trusted packages {list(trusted)}")
    module, _, attribute = name.rpartition(".")
    kind = getattr(import_module(module), attribute, None)
    if not (isinstance(kind, type) and issubclass(kind, VAE)):
        raise InputError(f"{file} holds a {name}, which is not a VAE of this package")
    return kind.load_from_checkpoint(file, map_location="cpu", weights_only=True).eval()


def _class_paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("_class_path", "class_path"):
                yield str(inner)
            else:
                yield from _class_paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _class_paths(inner)
