"""Tables of codes and factors: encoded once from a model, or read from a file that any program can write."""

import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.collection import CodesAndFactors
from disentangle_pl.metrics.score import (
    Checked,
    Codes,
    GroundTruth,
    Values,
    as_array,
    check,
    ground_truth,
    numbered_alike,
)
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian

LAYOUT = (
    "give an .npz or .pt with codes (N, d) and factors (N, k), integers for classes and floats for quantities, and if "
    "you like codes_test, factors_test, names (k,) and people (N,), or a .csv, .tsv or .parquet with columns z0, z1, "
    "... for the codes and the others for factors"
)
LATENT = re.compile(r"(?:z|latent|code|mu)_?(\d+)")
PEOPLE = "people"
KINDS = {"classes": True, "quantity": False}


class CodeTable(NamedTuple):
    """Codes of images whose factors are known.

    Attributes:
        codes: (N, d) posterior means.
        factors: The factors (N, k).
        names: The names of the factors.
        test: Codes (M, d) and factors (M, k) for probes; None to hold out a random third of the rows.
        kl: (d,) mean KL divergence of every latent to the prior, in nats; None where only the codes are known.
    """

    codes: Codes
    factors: GroundTruth
    names: tuple[str, ...]
    test: Checked | None = None
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
    return DiagonalGaussian(*map(torch.cat, zip(*parts, strict=True))), *gathered.compute()[:2]


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
    truth = ground_truth(factors, data.groups("val"))
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
    more = {"kl": table.kl, "people": table.factors.groups}
    np.savez(path, **arrays, **{name: array for name, array in more.items() if array is not None})  # type: ignore[arg-type]


def load_codes(
    path: Path, *, factors: Sequence[str] = (), kinds: Sequence[str] = (), test: Path | None = None
) -> CodeTable:
    """Read codes and factors of any program.

    Args:
        path: An .npz, or a .pt with a dictionary of tensors, with `codes` (N, d) and `factors` (N, k); optionally
            `codes_test`, `factors_test`, `names` (k,), `people` (N,), which says whose row it is, `people_test`, and
            `discrete` (k,) bool, which says which columns of float factors are classes. The layout of
            disentanglement_lib is read too: `mus_train` (d, N), `ys_train` (k, N), `mus_test`, `ys_test`. Or a .csv,
            .tsv or .parquet with a row an image: columns z0, z1, ... (or latent_0, code_0, mu_0) are the codes, a
            column people, if there is one, says whose row it is, and the others are the factors.
        factors: The names of those to score; all if empty.
        kinds: NAME=classes or NAME=quantity, for factors whose kind the file does not tell.
        test: Another such file, whose rows the probes are tested on.

    Raises:
        InputError: If a file is missing or damaged, holds pickled objects, or lacks an array, or a name is wrong.
    """
    arrays = dict(_read(path))
    tested = None if test is None else dict(_read(test))
    if tested is not None and "factors" in arrays and "factors" in tested:
        arrays["factors"], tested["factors"] = numbered_alike(arrays["factors"], tested["factors"])
    table = _table(path, arrays)
    if test is not None and tested is not None:
        other = _table(test, tested)
        if other.names != table.names:
            raise InputError(f"{test} has factors {list(other.names)}, but {path} has {list(table.names)}")
        table = table._replace(test=(other.codes, other.factors))
    return _with_kinds(_with_factors(table, factors), kinds)


def _with_factors(table: CodeTable, names: Sequence[str]) -> CodeTable:
    if unknown := [name for name in names if name not in table.names]:
        raise InputError(f"there is no factor {unknown[0]!r}: there are {', '.join(table.names)}")
    if not names:
        return table
    chosen = np.isin(table.names, names)
    test = table.test and (table.test[0], table.test[1].columns(chosen))
    return table._replace(
        factors=table.factors.columns(chosen), names=tuple(np.array(table.names)[chosen].tolist()), test=test
    )


def _with_kinds(table: CodeTable, kinds: Sequence[str]) -> CodeTable:
    discrete = table.factors.discrete.copy()
    for text in kinds:
        name, _, kind = text.partition("=")
        if name not in table.names or kind not in KINDS:
            raise InputError(
                f"--kinds takes NAME=classes or NAME=quantity, and {text!r} is none: there are {', '.join(table.names)}"
            )
        discrete[table.names.index(name)] = KINDS[kind]

    def of_kinds(truth: GroundTruth) -> GroundTruth:
        return ground_truth(GroundTruth(truth.values, discrete, truth.groups))

    return table._replace(factors=of_kinds(table.factors), test=table.test and (table.test[0], of_kinds(table.test[1])))


def _table(path: Path, arrays: Mapping[str, Any]) -> CodeTable:
    flipped = "mus_train" in arrays
    needed = ("mus_train", "ys_train", "mus_test", "ys_test") if flipped else _names(arrays)
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise InputError(f"{path} has no array {missing[0]}: {LAYOUT}")
    codes, factors, *test = ((arrays[name].T if flipped else arrays[name]) for name in needed)
    if test:
        factors, test[1] = numbered_alike(factors, test[1])
    kinds = arrays.get("discrete")
    truth = _truth(path, factors, kinds, arrays.get("people"))
    names = np.asarray(arrays.get("names", [f"factor_{i}" for i in range(truth.shape[1])]))
    if names.shape != (truth.shape[1],):
        raise InputError(f"{path} has names of shape {names.shape} for {truth.shape[1]} factors: {LAYOUT}")
    held_out = None
    if test:
        held_out = check(test[0], _truth(path, test[1], kinds, arrays.get("people_test")))
    codes, truth = check(codes, truth)
    return CodeTable(codes, truth, tuple(str(name) for name in names), held_out, arrays.get("kl"))


def _names(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    own = ("codes", "factors")
    tested = {"codes_test", "factors_test"} & arrays.keys()
    return (*own, "codes_test", "factors_test") if tested else own


def _read(path: Path) -> Mapping[str, Any]:
    reader = READERS.get(path.suffix)
    if reader is None or not path.is_file():
        problem = f"there is no file {path}" if not path.is_file() else f"{path} is none of {', '.join(READERS)}"
        raise InputError(f"{problem}: {LAYOUT}")
    try:
        return reader(path)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, KeyError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be read as arrays ({reason}): {LAYOUT}") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        loaded = np.load(file)
        return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {}


def _tensors(path: Path) -> dict[str, Any]:
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict):
        raise ValueError(f"a {type(loaded).__name__} and no dictionary")
    return {name: as_array(table) for name, table in loaded.items()}


def _frame(frame: pd.DataFrame) -> dict[str, Any]:
    latents = [str(name) for name in frame.columns if LATENT.fullmatch(str(name))]
    if not latents:
        raise ValueError("no columns z0, z1, ... with codes")
    if not len(frame):
        raise ValueError("no rows below the header")
    latents.sort(key=lambda name: int(LATENT.fullmatch(name)[1]))  # type: ignore[index]
    factors = frame.drop(columns=[*latents, *({PEOPLE} & set(frame.columns))])
    arrays: dict[str, Any] = {"codes": frame[latents].to_numpy(), "factors": factors, "names": list(factors.columns)}
    return arrays | ({PEOPLE: frame[PEOPLE].to_numpy()} if PEOPLE in frame.columns else {})


READERS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".npz": _arrays,
    ".pt": _tensors,
    ".pth": _tensors,
    ".csv": lambda path: _frame(pd.read_csv(path)),
    ".tsv": lambda path: _frame(pd.read_csv(path, sep="\t")),
    ".parquet": lambda path: _frame(pd.read_parquet(path)),
}


def _truth(path: Path, factors: Any, kinds: NDArray[Any] | None, people: Any) -> GroundTruth:
    truth = ground_truth(factors, people)
    if kinds is None:
        return truth
    if kinds.shape != (truth.shape[1],) or kinds.dtype != np.bool_:
        raise InputError(f"{path} has discrete of {kinds.dtype} {kinds.shape}, not one bool a factor: {LAYOUT}")
    return ground_truth(GroundTruth(truth.values, kinds, truth.groups))
