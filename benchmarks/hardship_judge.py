"""What became of a call with bad input: the words, the exit code, the files, the numbers."""

import csv
import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.hardship_forks import Ended
from disentangle_pl.errors import ERROR

REFUSED, SAME, NOTED, FINITE = "refused", "same result", "left out and said", "finite"
TRACEBACK, HANG, CODE, WORDS, WRONG = "traceback", "hang", "wrong exit code", "more than a sentence", "wrong result"
OUTCOMES = (REFUSED, SAME, NOTED, FINITE, TRACEBACK, HANG, CODE, WORDS, WRONG)
GOOD = (REFUSED, SAME, NOTED, FINITE)
NUMBERS = (".tsv", ".csv", ".json", ".npy", ".npz", ".parquet")
State = dict[str, tuple[str, str]]


class Judged(NamedTuple):
    """What became of a call.

    Attributes:
        outcome: One of OUTCOMES.
        why: What was said, or what is wrong.
        damaged: Inputs that are other files afterwards.
        outside: Files outside the output folder that were not there before.
    """

    outcome: str
    why: str
    damaged: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all is as it ought to be."""
        return self.outcome in GOOD and not self.damaged and not self.outside


def state(folder: Path, aside: Sequence[str] = ()) -> State:
    """Return what is in a folder: kind and contents by path, without what lies in the folders named in `aside`."""
    found: State = {}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here == folder:
            folders[:] = [name for name in folders if name not in aside]
        for name in (*folders, *files):
            found[(here / name).relative_to(folder).as_posix()] = contents(here / name)
    return found


def contents(path: Path) -> tuple[str, str]:
    """Return kind and contents of what is at a path."""
    if not path.is_symlink() and not path.exists():
        return "nothing", ""
    if path.is_symlink():
        return "link", str(path.readlink())
    if path.is_dir():
        return "folder", ""
    if not path.is_file():
        return "other", ""
    return "file", hashlib.sha256(path.read_bytes()).hexdigest()


def changes(before: State, after: State) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is not as it was, and what is new."""
    damaged = tuple(sorted(path for path, what in before.items() if after.get(path) != what))
    return damaged, tuple(sorted(after.keys() - before.keys()))


def words(ended: Ended) -> tuple[str, str]:
    """Judge how a call ended, by exit code and words alone; one that ended well is `accepted`."""
    said = ended.said
    errors = [line for line in said.splitlines() if line.startswith(ERROR)]
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    if ended.hung:
        return HANG, f"after {ended.seconds:.0f} s: {last}"
    if "Traceback (most recent call last)" in said:
        return TRACEBACK, last
    if ended.code not in (0, 2):
        return CODE, f"{ended.code}: {last}"
    if ended.code == 0:
        return "accepted", ""
    if len(errors) != 1 or last != errors[0]:
        return WORDS, "; ".join(said[said.find(ERROR) :].splitlines()[:4])
    return REFUSED, errors[0].removeprefix(ERROR)


def results(folder: Path, box: Path, patterns: Sequence[str]) -> dict[str, str]:
    """Return the contents of the results of a call, with the name of its box taken out of texts."""
    found = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        content = CONTENTS.get(path.suffix, Path.read_bytes)(path)
        own = content.replace(str(box).encode(), b"BOX")
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(own).hexdigest()
    return found


def _weights(path: Path) -> bytes:
    """Return the weights of a checkpoint; what is beside them holds times of day."""
    weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return b"".join(name.encode() + value.numpy().tobytes() for name, value in weights.items())


def _cells(path: Path) -> bytes:
    """Return the cells of a table, which holds paths in compressed pages."""
    table = pd.read_parquet(path)
    return (str(table.dtypes.to_dict()) + table.to_csv()).encode()


CONTENTS: dict[str, Callable[[Path], bytes]] = {".ckpt": _weights, ".parquet": _cells}


def noted(folder: Path, note: tuple[str, str]) -> bool:
    """Tell whether a file of the results says that something was left out."""
    pattern, word = note
    return bool(pattern) and any(word in path.read_text(errors="replace") for path in folder.glob(pattern))


def odd_numbers(folder: Path) -> dict[str, int]:
    """Count by file what is NaN or infinite, though it is written as a number."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in NUMBERS and path.is_file()):
        count = _odd(path)
        if count:
            found[path.relative_to(folder).as_posix()] = count
    return found


def _odd(path: Path) -> int:
    if path.suffix in (".tsv", ".csv"):
        with path.open(newline="", errors="replace") as file:
            rows = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        return sum(cell.strip().lower() in ("nan", "inf", "-inf") for row in rows for cell in row)
    if path.suffix == ".json":
        return sum(not math.isfinite(number) for number in _floats(json.loads(path.read_text())))
    if path.suffix == ".parquet":
        table = pd.read_parquet(path).select_dtypes("number")
        return int(np.isinf(table.to_numpy(np.float64)).sum())
    loaded = np.load(path, allow_pickle=False)
    arrays = list(loaded.values()) if isinstance(loaded, np.lib.npyio.NpzFile) else [loaded]
    return sum(int((~np.isfinite(array)).sum()) for array in arrays if array.dtype.kind == "f")


def _floats(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _floats(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _floats(inner)]
    return [value] if isinstance(value, float) else []
