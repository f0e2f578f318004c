"""Models from checkpoint files, without trusting the file."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from jsonargparse import ArgumentError

from disentangle_pl.data.provenance import Provenance, from_plain
from disentangle_pl.errors import InputError, one_line
from disentangle_pl.models.vae import PROVENANCE, VAE

TRUSTED = ("disentangle_pl", "torch")
BUILT_FROM = ("hyper_parameters", "hparams", "module_arguments")  # Lightning still honours the two old names


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
    checkpoint = _opened(file)
    parts = [checkpoint.get(part) for part in BUILT_FROM] if isinstance(checkpoint, dict) else []
    name = parts[0].get("_class_path") if parts and isinstance(parts[0], dict) else None
    if not isinstance(name, str):
        raise InputError(f"{file} does not say which model it holds: give a checkpoint that `disentangle-pl fit` wrote")
    for inner in _strings(parts):
        if not _harmless(inner, trusted):
            raise InputError(f"{file} wants to build {inner}, which is outside the trusted packages {list(trusted)}")
    kind = _find(name)
    if not (isinstance(kind, type) and issubclass(kind, VAE)):
        raise InputError(f"{file} holds a {name}, which is not a VAE of this package")
    try:
        return kind.load_from_checkpoint(file, map_location="cpu", weights_only=True).eval()
    except (ArgumentError, InputError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = shorten(one_line(str(error)) or type(error).__name__, 200)
        raise InputError(
            f"{file} does not fit the {kind.__name__} of this version of the package ({reason})"
        ) from error


def provenance_of(path: str | Path) -> Provenance:
    """Read from a checkpoint whom its weights were trained on, without building the model.

    Raises:
        InputError: If the file is missing or truncated, holds code, or what it says of people is damaged.
    """
    checkpoint = _opened(Path(path), in_place=True)
    return from_plain(checkpoint.get(PROVENANCE) if isinstance(checkpoint, dict) else None)


def _opened(file: Path, in_place: bool = False) -> Any:
    """Read a checkpoint; in place, weights stay on the disk."""
    if not file.is_file():
        raise InputError(f"there is no checkpoint at {file}: give the path of a .ckpt file of a run")
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=in_place)
    except Exception as error:  # there is no end to the ways in which broken bytes fail
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{file} is not a checkpoint that can be read safely ({reason})") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "_instantiator":  # Lightning checks this one itself
                yield from _strings(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _harmless(text: str, trusted: tuple[str, ...]) -> bool:
    # The parser behind Lightning takes any text for a class to import, a file to read or YAML that names either.
    root, *parts = text.split(".")
    names = all(part.isidentifier() for part in (root, *parts))
    return names and (not parts or root in trusted) and not Path(text).is_file()


def _find(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute, None)
    except (ImportError, ValueError):
        return None
