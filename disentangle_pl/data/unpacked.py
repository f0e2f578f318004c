"""Images too many for memory: unpacked once into one file, memory-mapped, read row by row."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.errors import InputError

Pixels = np.memmap[tuple[int, ...], np.dtype[np.uint8]]


def unpack(target: Path, shape: tuple[int, ...], pieces: Iterable[NDArray[np.uint8]]) -> Pixels:
    """Write an array to `target` if it is not there yet, and map it.

    Only one piece is in memory at a time. A killed process leaves a `.partial` file, which is never opened and which
    the next one overwrites. Processes that call this at the same time wait for the first.

    Args:
        target: The `.npy` file; its name must tell the contents, as it is never written again.
        shape: Of the whole array, of bytes.
        pieces: The array cut along its first axis, in order; not asked for if the file is there.

    Returns:
        The array, read-only.

    Raises:
        InputError: If the folder cannot hold the array, or the file in it is not that array.
    """
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_suffix(".lock")):
                if not target.exists():
                    _write(target, shape, pieces)
    except OSError as error:
        size = f"{np.prod(shape, dtype=np.int64) / 1e9:.1f} GB"
        raise InputError(f"{target.parent} cannot hold {size} of images ({error}): give another cache") from error
    return _open(target, shape)


def map_bytes(path: Path, offset: int, shape: tuple[int, ...]) -> Pixels:
    """Map an array of bytes that lies uncompressed in a file, read-only."""
    return np.memmap(path, np.uint8, "r", offset, shape)


def gather(pixels: Pixels, index: Tensor) -> Tensor:
    """Read rows (B, C, H, W) float32 in [0, 1] of an array (N, H, W, C), on the device of the index (B,).

    Rows are read in the order of the file; no more than the batch is copied to memory.
    """
    rows = index.cpu().numpy()
    order = rows.argsort()
    images = np.empty((len(rows), *pixels.shape[1:]), np.uint8)
    images[order] = pixels[rows[order]]
    return torch.from_numpy(images).to(index.device).permute(0, 3, 1, 2).contiguous().float().div_(255)


def _write(target: Path, shape: tuple[int, ...], pieces: Iterable[NDArray[np.uint8]]) -> None:
    partial = target.with_suffix(".partial")
    try:
        # Written, not mapped: a full disk is an error here, and would kill the process there.
        with partial.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for piece in pieces:
                file.write(np.ascontiguousarray(piece).data)
                del piece  # before the next one is made
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _open(target: Path, shape: tuple[int, ...]) -> Pixels:
    try:
        pixels = np.lib.format.open_memmap(target, mode="r")
    except ValueError as error:
        raise InputError(f"{target} is damaged ({error}): delete it, and it is made again") from error
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise InputError(f"{target} holds {pixels.dtype} {pixels.shape}, not bytes {shape}: delete it")
    return pixels
