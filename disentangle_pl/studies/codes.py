"""Tables of codes and factors: encoded once from a model, or read from a file that any program can write."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.collection import CodesAndFactors
from disentangle_pl.metrics.score import Codes, GroundTruth, Split, Values, ground_truth
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian

LAYOUT = (
    "give an .npz with codes (N, d) and factors (N, k), integers for classes and floats for quantities, and if you "
    "like codes_test, factors_test and names (k,)"
)


class CodeTable(NamedTuple):
    """Codes of images whose factors are known.

    Attributes:
        codes: (N, d) posterior means.
        factors: The factors (N, k).
        names: The names of the factors.
        test: Codes (M, d) and factors (M, k) for probes; None to hold out the last third of the rows.
        kl: (d,) mean KL divergence of every latent to the prior, in nats; None where only the codes are known.
    """

    codes: Codes
    factors: GroundTruth
    names: tuple[str, ...]
    test: Split | None = None
    kl: Values | None = None


def check_fits(model: VAE, data: ImageData) -> None:
    """Refuse data whose images have another shape than the model's.

    Raises:
        InputError: If they have.
    """
    if data.shape != model.backbone.shape:
        raise InputError(f"the model takes images of shape {model.backbone.shape}, but the data have {data.shape}")


@torch.no_grad()
def posteriors(
    model: VAE, data: ImageData, loader: Iterable[Any], words: str = "encoding"
) -> tuple[DiagonalGaussian, Codes, NDArray[Any]]:
    """Encode the images of a loader, on the device of the model.

    Args:
        model: The model.
        data: Data of its shape, set up.
        loader: One of its loaders.
        words: Beside the progress bar.

    Returns:
        The posteriors (N, d) on the CPU, their means as an array, and the factors (N, k).
    """
    gathered, parts = CodesAndFactors(), []
    model.eval()
    for batch in track(loader, words, console=Console(stderr=True), transient=True):
        moved = tuple(tensor.to(model.device) for tensor in batch)
        images = data.on_after_batch_transfer(moved, 0)
        q = model.encode(images.image)
        gathered.update(q.mean.cpu(), images.factors.cpu())
        parts.append(DiagonalGaussian(q.mean.cpu(), q.logvar.cpu()))
    return DiagonalGaussian(*map(torch.cat, zip(*parts, strict=True))), *gathered.compute()


def encode(model: VAE, data: ImageData, words: str = "encoding") -> CodeTable:
    """Encode the validation sample of a data module, on the device of the model.

    Args:
        model: The model.
        data: Data with known factors; it is set up here.
        words: Beside the progress bar.

    Raises:
        InputError: If the images have another shape than the model's, or the factors are not known.
    """
    check_fits(model, data)
    data.prepare_data()
    data.setup("validate")
    q, codes, factors = posteriors(model, data, data.val_dataloader(), words)
    truth = ground_truth(factors)
    names = np.array(data.factor_names)
    scored = truth.varying & ~np.isin(names, data.nuisance)
    if not scored.any():
        raise InputError(f"none of the factors {names.tolist()} varies in the validation sample: give other data")
    kl = q.kl().double().mean(0).numpy()
    return CodeTable(codes, truth.columns(scored), tuple(names[scored].tolist()), kl=kl)


def save_codes(path: Path, table: CodeTable) -> None:
    """Write a table as the .npz that `load_codes` reads."""
    kinds = table.factors.discrete
    values = table.factors.values
    path.parent.mkdir(parents=True, exist_ok=True)
    factors = values.astype(np.int64) if kinds.all() and np.isfinite(values).all() else values
    arrays = {"codes": table.codes, "factors": factors, "discrete": kinds, "names": np.array(table.names)}
    np.savez(path, **arrays, **({} if table.kl is None else {"kl": table.kl}))  # type: ignore[arg-type]


def load_codes(path: Path) -> CodeTable:
    """Read codes and factors of any program.

    Args:
        path: An .npz with `codes` (N, d) and `factors` (N, k); optionally `codes_test`, `factors_test`, `names` (k,)
            and `discrete` (k,) bool, which says which columns of float factors are classes. The layout of
            disentanglement_lib is read too: `mus_train` (d, N), `ys_train` (k, N), `mus_test`, `ys_test`.

    Raises:
        InputError: If the file is missing or damaged, holds pickled objects, or lacks an array.
    """
    arrays = _read(path)
    flipped = "mus_train" in arrays
    wanted = ("mus_train", "ys_train", "mus_test", "ys_test") if flipped else _names(arrays)
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise InputError(f"{path} has no array {missing[0]}: {LAYOUT}")
    codes, factors, *test = ((arrays[name].T if flipped else arrays[name]) for name in wanted)
    kinds = arrays.get("discrete")
    truth = _truth(path, factors, kinds)
    names = arrays.get("names", np.array([f"factor_{i}" for i in range(truth.shape[1])]))
    if names.shape != (truth.shape[1],):
        raise InputError(f"{path} has names of shape {names.shape} for {truth.shape[1]} factors: {LAYOUT}")
    held_out = (test[0], _truth(path, test[1], kinds)) if test else None
    return CodeTable(codes, truth, tuple(str(name) for name in names), held_out, arrays.get("kl"))


def _names(arrays: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    own = ("codes", "factors")
    tested = {"codes_test", "factors_test"} & arrays.keys()
    return (*own, "codes_test", "factors_test") if tested else own


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InputError(f"there is no file {path}: {LAYOUT}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file)
            return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be read as arrays ({reason}): {LAYOUT}") from error


def _truth(path: Path, factors: NDArray[Any], kinds: NDArray[Any] | None) -> GroundTruth:
    truth = ground_truth(factors)
    if kinds is None:
        return truth
    if kinds.shape != (truth.shape[1],) or kinds.dtype != np.bool_:
        raise InputError(f"{path} has discrete of {kinds.dtype} {kinds.shape}, not one bool a factor: {LAYOUT}")
    return ground_truth(GroundTruth(truth.values, kinds))
