"""Checkpoints, HDF5 files and genotypes that are whole and yet not what they ought to be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.hardship_arrays import CODES, DSPRITES, HEADS, NIFTI, Code
from benchmarks.hardship_damage import ANY, REFUSE, Change, Damage, content, edited


def saved(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change a checkpoint in place."""

    def edit(path: Path) -> None:
        whole = torch.load(path, map_location="cpu", weights_only=True)
        torch.save(change(whole) or whole, path)

    return edit


def _weights(make: Callable[[torch.Tensor], Any]) -> Change:
    def change(whole: dict[str, Any]) -> None:
        name = next(key for key, value in whole["state_dict"].items() if value.ndim == 2)
        whole["state_dict"][name] = make(whole["state_dict"][name])

    return saved(change)


CHECKPOINT = [
    Damage("code in the file", saved(lambda whole: {**whole, "code": Code()}), REFUSE),
    Damage("nothing but code", saved(lambda whole: Code()), REFUSE),
    Damage("an empty dictionary", saved(lambda whole: {"x": 1}), REFUSE),
    Damage("a list", saved(lambda whole: [1, 2]), REFUSE),
    Damage("no weights", saved(lambda whole: whole.pop("state_dict") and None), REFUSE),
    Damage("no settings", saved(lambda whole: whole.pop("hyper_parameters") and None), ANY),
    Damage("a weight less", saved(lambda whole: whole["state_dict"].popitem() and None), REFUSE),
    Damage("a weight of another shape", _weights(lambda old: old[:, :1]), REFUSE),
    Damage("a text for a weight", _weights(lambda old: "x"), REFUSE),
    Damage("NaN in the weights", _weights(lambda old: old * float("nan")), REFUSE),
    Damage("infinite weights", _weights(lambda old: old * float("inf")), REFUSE),
    Damage("complex weights", _weights(lambda old: old.to(torch.complex64)), REFUSE),
    Damage("a class of os", saved(lambda whole: whole["hyper_parameters"].update(_class_path="os.system")), ANY),
    Damage("a size that is a text", saved(lambda whole: whole["hyper_parameters"].update(latent_dim="x")), ANY),
    Damage("a state without loops", saved(lambda whole: whole.pop("loops") and None), ANY),
    Damage("no optimizer", saved(lambda whole: whole.update(optimizer_states=[])), ANY),
    Damage("texts for counters", saved(lambda whole: whole.update(epoch="x", global_step="y")), ANY),
    Damage("an .npz", content(b"PK\x05\x06" + bytes(18)), REFUSE),
]


def hdf5(says: str, change: Callable[[Any], object], allowed: str = REFUSE) -> Damage:
    """Change an HDF5 file in place."""

    def edit(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return Damage(says, edit, allowed)


def _other(name: str, make: Callable[[NDArray[Any]], Any]) -> Callable[[Any], object]:
    def change(file: Any) -> None:
        old = file[name][:]
        del file[name]
        file[name] = make(old)

    return change


HDF5 = [
    hdf5("no labels", lambda file: file.pop("labels")),
    hdf5("a group for the images", lambda file: (file.pop("images"), file.create_group("images"))),
    hdf5(
        "a link to another file",
        lambda file: (file.pop("images"), file.update(images=h5py.ExternalLink("/etc/passwd", "x"))),
    ),
    hdf5("a link to itself", lambda file: (file.pop("images"), file.update(images=h5py.SoftLink("/images")))),
    hdf5("images of float32", _other("images", lambda old: old.astype(np.float32))),
    hdf5("half of the images", _other("images", lambda old: old[:48])),
    hdf5("labels backwards", _other("labels", lambda old: old[::-1])),
    hdf5("labels of NaN", _other("labels", lambda old: old * np.nan)),
    hdf5("texts for labels", _other("labels", lambda old: np.full(old.shape, b"x"))),
    hdf5("an attribute of markup", lambda file: file.attrs.update(x="<script>"), ANY),
]
BED = [
    Damage("sorted by people", edited(lambda whole: whole[:2] + b"\0" + whole[3:]), REFUSE),
    Damage("other magic", edited(lambda whole: b"xyz" + whole[3:]), REFUSE),
    Damage("a byte more", edited(lambda whole: whole + b"\0"), REFUSE),
    Damage("all calls missing", edited(lambda whole: whole[:3] + b"\x55" * (len(whole) - 3)), ANY),
    Damage("all calls the same", edited(lambda whole: whole[:3] + bytes(len(whole) - 3)), ANY),
]
BINARIES = {
    "codes (npz)": CODES,
    "anatomies (npz)": HEADS,
    "dSprites (npz)": DSPRITES,
    "scan (.nii.gz)": NIFTI,
    "scan (.nii)": NIFTI,
    "checkpoint": CHECKPOINT,
    "run: checkpoint": CHECKPOINT,
    "3D Shapes (HDF5)": HDF5,
    "genotypes (.bed)": BED,
}
