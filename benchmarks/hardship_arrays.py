"""Archives of arrays and scans that are whole and yet not what they ought to be."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.openers import Opener
from numpy.typing import NDArray

from benchmarks.hardship_damage import ANY, AS_BEFORE, REFUSE, Change, Damage, edited

Arrays = dict[str, NDArray[Any]]


class Code:
    """What a malicious pickle holds: it makes a file when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Say what is to be called."""
        return os.system, ("touch aside/pwned",)


def arrays(change: Callable[[Arrays], object]) -> Change:
    """Change the arrays of an .npz in place."""

    def edit(whole: bytes) -> bytes:
        found = dict(np.load(io.BytesIO(whole), allow_pickle=False))
        change(found)
        new = io.BytesIO()
        np.savez(new, **found)
        return new.getvalue()

    return edited(edit)


def array(name: str, make: Callable[[NDArray[Any]], Any], says: str, allowed: str = REFUSE) -> Damage:
    """Put another array in the place of one."""
    return Damage(f"{name}: {says}", arrays(lambda found: found.update({name: np.asarray(make(found[name]))})), allowed)


def without(name: str) -> Damage:
    """Leave an array out."""
    return Damage(f"{name} left out", arrays(lambda found: found.pop(name)), REFUSE)


def promised(name: str, shape: tuple[int, ...], descr: str) -> Damage:
    """Write an array whose header promises more than there is."""

    def edit(whole: bytes) -> bytes:
        new = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(new, "w") as archive:
            for member in old.namelist():
                if member != f"{name}.npy":
                    archive.writestr(member, old.read(member))
                    continue
                with archive.open(member, "w") as file:
                    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
                    file.write(bytes(64))
        return new.getvalue()

    return Damage(f"{name}: a header that promises {shape} of {descr}", edited(edit), REFUSE)


def climbing(whole: bytes) -> bytes:
    """Add a member that would climb out of the folder, if anyone unpacked the archive."""
    new = io.BytesIO(whole)
    with zipfile.ZipFile(new, "a") as archive:
        archive.writestr("../../aside/pwned.npy", b"x")
    return new.getvalue()


def common(name: str, other: str) -> list[Damage]:
    """Return what can be wrong with any .npz."""
    return [
        without(name),
        without(other),
        array(name, lambda _: np.array([Code()], dtype=object), "an object with code"),
        array(name, lambda _: np.array(["a", "b"]), "texts"),
        array(name, lambda old: old[:0], "no rows"),
        array(name, lambda old: old[..., None], "an axis more"),
        array(name, lambda old: old.astype(np.complex64), "complex"),
        promised(name, (10**13, 3), "<f8"),
        promised(name, (2**62, 2**62), "<f8"),
        promised(name, (-1, 3), "<f8"),
        promised(name, (10, 3), "|O"),
        Damage("a member that climbs out", edited(climbing), ANY),
    ]


def hole(old: NDArray[Any], value: float) -> NDArray[Any]:
    """Put a value into the first place."""
    new = old.astype(np.float64)
    new.flat[0] = value
    return new


CODES = [
    *common("codes", "factors"),
    array("codes", lambda old: hole(old, np.nan), "NaN"),
    array("codes", lambda old: hole(old, np.inf), "infinite"),
    array("codes", lambda old: hole(old, 1e308), "1e308", ANY),
    array("codes", lambda old: 0 * old, "all zero", ANY),
    array("codes", lambda old: old[:1], "one row of 240"),
    array("factors", lambda old: 0 * old, "one value", ANY),
    array("factors", lambda old: hole(old, np.nan), "NaN", ANY),
    array("factors", lambda old: hole(old, np.inf), "infinite"),
    array("factors", lambda old: old.T, "turned"),
    array("names", lambda old: np.array(["<script>alert(7)</script>", "../x"]), "hostile", ANY),
    array("names", lambda old: old[:1], "too few"),
    array("names", lambda _: np.array([Code(), Code()], dtype=object), "objects with code"),
]
HEADS = [
    *common("frac", "affine"),
    array("affine", lambda old: 0 * old, "all zero"),
    array("affine", lambda old: np.full((4, 4), np.nan), "NaN"),
    array("affine", lambda _: np.array([[Code()]], dtype=object), "an object with code"),
    array("frac", lambda old: 0 * old, "all zero"),
    array("frac", lambda old: old.astype(np.float32), "float32"),
    array("frac", lambda old: old[:, :, :20], "no cube"),
]
DSPRITES = [
    *common("imgs", "latents_classes"),
    array("imgs", lambda old: old + 1, "pixels of 2"),
    array("imgs", lambda old: old[:, :32], "half images"),
    array("latents_classes", lambda old: old[::-1], "backwards"),
    array("latents_classes", lambda old: old.astype(np.float32), "float32"),
]


def header(says: str, allowed: str = REFUSE, **fields: Any) -> Damage:
    """Write other fields into the header of a NIfTI file, as they are."""

    def change(path: Path) -> None:
        image = nib.load(path)
        raw = bytearray(image.header.binaryblock)
        block = np.frombuffer(raw, dtype=image.header.template_dtype)
        for name, value in fields.items():
            block[name] = value
        body = np.asarray(image.dataobj).tobytes(order="F")
        opener = Opener(str(path), "wb")
        opener.write(bytes(raw) + bytes(4) + body)
        opener.close()

    return Damage(says, change, allowed)


def voxels(says: str, make: Callable[[NDArray[Any]], NDArray[Any]], allowed: str = REFUSE) -> Damage:
    """Write other voxels."""

    def change(path: Path) -> None:
        image = nib.load(path)
        nib.save(nib.Nifti1Image(make(np.asarray(image.dataobj)), image.affine), path)

    return Damage(says, change, allowed)


NIFTI = [
    header("dimensions of 30,000", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]),
    header("dimensions of -5", dim=[3, -5, 12, 12, 1, 1, 1, 1]),
    header("dimensions of 0", dim=[3, 0, 12, 12, 1, 1, 1, 1]),
    header("no dimensions", dim=[0] * 8),
    header("nine dimensions", dim=[9, 12, 12, 12, 1, 1, 1, 1]),
    header("an unknown type", datatype=7777),
    header("complex voxels", datatype=32),
    header("colours", datatype=128),
    header("voxels of 0 mm", pixdim=[1, 0, 0, 0, 0, 0, 0, 0]),
    header("voxels of NaN mm", pixdim=[np.nan] * 8),
    header("a slope of NaN", AS_BEFORE, scl_slope=np.nan),
    header("a slope of infinity", scl_slope=np.inf, scl_inter=1),
    header("a slope of 1e38", scl_slope=1e38),
    header("an offset behind the end", vox_offset=1e9),
    header("an offset below zero", vox_offset=-400),
    header("an offset of NaN", vox_offset=np.nan),
    header("no orientation", sform_code=0, qform_code=0),
    header("an affine of NaN", sform_code=1, srow_x=[np.nan] * 4),
    header("a flat affine", sform_code=1, srow_x=[0] * 4),
    header("other magic", magic=b"xyz"),
    header("a description of markup", AS_BEFORE, descrip=b"<script>alert(7)</script>"),
    voxels("one NaN", lambda old: hole(old, np.nan).astype(np.float32)),
    voxels("one infinite", lambda old: hole(old, np.inf).astype(np.float32)),
    voxels("one 1e38", lambda old: hole(old, 1e38).astype(np.float32), ANY),
    voxels("one 1e300", lambda old: hole(old, 1e300)),
    voxels("all the same", lambda old: 0 * old + 7),
    voxels("a time series", lambda old: np.stack([old] * 3, -1)),
    voxels("a slice", lambda old: old[:, :, :1]),
    voxels("bytes", lambda old: old.astype(np.uint8), ANY),
]
