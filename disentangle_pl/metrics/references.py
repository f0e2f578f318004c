"""The ends of every scale on the factors at hand: noise, rotated and perfect codes, scored once and remembered."""

import ast
import functools
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.score import (
    Codes,
    CodesLike,
    Factors,
    GroundTruth,
    Split,
    check,
    ground_truth,
    numbered_alike,
)
from disentangle_pl.metrics.sheet import (
    ALL,
    MORE,
    REFERENCE_LEVELS,
    REFERENCE_ROWS,
    Ends,
    Entry,
    Line,
    Scored,
    score_codes,
)

References: TypeAlias = dict[str, dict[str, Ends]]
Draws: TypeAlias = dict[str, dict[str, list[float]]]
Watch: TypeAlias = Callable[[Sequence[tuple[str, Entry]], str], Iterable[tuple[str, Entry]]]
ENDS = ("floor", "rotated", "ceiling")
DRAWS = 5
PACKAGE = __package__ or ""
ROOT = f"{PACKAGE.partition('.')[0]}."


def silent(entries: Sequence[tuple[str, Entry]], words: str) -> Iterable[tuple[str, Entry]]:
    """Pass the entries on without a word."""
    return entries


def reference_codes(factors: Factors, latent_dim: int, draws: int = DRAWS) -> dict[str, list[Codes]]:
    """Make codes (N, latent_dim) for factors (N, k): noise and, if there is a latent a factor, rotated and perfect.

    Noise and rotations are drawn several times; where groups are known, the rows of a group share their noise.
    """
    truth = ground_truth(factors)
    noise = [noise_codes(len(truth), latent_dim, groups=truth.groups, seed=seed) for seed in range(draws)]
    codes: dict[str, list[Codes]] = {"floor": [*noise]}
    if latent_dim >= truth.shape[1]:
        codes["rotated"] = [rotated_codes(truth, latent_dim, seed=seed) for seed in range(draws)]
        codes["ceiling"] = [perfect_codes(truth, latent_dim)]
    return codes


def references(
    factors: Factors,
    latent_dim: int,
    entries: Mapping[str, Entry],
    *,
    test: Factors | None = None,
    folder: Path | None = None,
    watch: Watch = silent,
) -> References:
    """Score the reference codes of the factors at hand.

    They depend on the factors alone, not on a model: a sweep over one data set needs them once. Those of DCI are
    computed on 128 levels of every latent where 5,000 rows or more are fitted on, see `coarse_boost`: for the factors
    of dSprites this moves rotations by up to .015, noise by less than .001, and perfect codes not at all.

    Args:
        factors: (N, k) of the rows that are scored.
        latent_dim: The number of latents.
        entries: Entries of the sheet by name.
        test: Factors (M, k) of the test rows, or None if a random third of `factors` is that.
        folder: Where to remember them, one file an entry, as long as the factors and the code of the score stay the
            same; None for nowhere.
        watch: Passes the entries on and may show how far they are.

    Returns:
        The mean and range of every score by name, for `floor`, `rotated` and `ceiling`; with fewer latents than factors
        the last two are empty.
    """
    truth = ground_truth(factors)
    held_out = None if test is None else ground_truth(test)
    stacked = truth if held_out is None else _stacked(truth, held_out)
    key = _key(truth, held_out, latent_dim)
    codes: dict[str, list[Codes]] = {}
    ends: References = {end: {} for end in ENDS}
    for name, entry in watch(list(entries.items()), "scoring noise, rotated and perfect codes"):
        path = folder / f"{key}-{name}-{code_digest(entry)}.json" if folder else None
        draws = _read(path, ENDS if latent_dim >= truth.shape[1] else ENDS[:1])
        if draws is None:
            codes = codes or reference_codes(stacked, latent_dim)
            way = replace(entry, compute=entry.reference or entry.compute)
            draws = {end: _scores(tables, truth, held_out, (name, way)) for end, tables in codes.items()}
            _write(path, draws)
        for end, scores in draws.items():
            ends[end] |= {score: Ends(float(np.mean(each)), min(each), max(each)) for score, each in scores.items()}
    return ends


def full_sheet(
    codes: CodesLike,
    factors: Factors,
    entries: Mapping[str, Entry],
    *,
    test: Split | None = None,
    ends: bool = True,
    folder: Path | None = None,
    watch: Watch = silent,
) -> tuple[list[Line], Scored]:
    """Score codes and put every value beside its floor, a rotation and its ceiling.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `score.ground_truth`.
        entries: Entries by name; only those of `sheet.ALL` and `sheet.MORE` are remembered.
        test: Codes (M, d) and factors (M, k) for the probes, or None for a random third of the rows.
        ends: Compute floor, rotation and ceiling; otherwise they are NaN.
        folder: Where to remember these; None for nowhere.
        watch: Passes the entries on and may show how far they are.

    Returns:
        The lines of the sheet, and the scores with their times and what was refused.

    Raises:
        InputError: If the codes or factors fail `score.check`.
    """
    if test is not None:
        factors, held_out = numbered_alike(factors, test[1])
        test = test[0], held_out
    table, truth = check(codes, factors)
    scored = score_codes(table, truth, watch(list(entries.items()), "scoring"), test=test)
    scale: References = {end: {} for end in ENDS}
    lasting = {name: entry for name, entry in entries.items() if (ALL | MORE).get(name) is entry}
    own = {name: entry for name, entry in entries.items() if name not in lasting}
    for some, place in ((lasting, folder), (own, None)):
        if ends and some:
            scores = references(truth, table.shape[1], some, test=test and test[1], folder=place, watch=watch)
            scale = {end: scale[end] | scores[end] for end in ENDS}
    return [_line(name, value, scale) for name, value in scored.values.items()], scored


def _line(name: str, value: float, scale: References) -> Line:
    floor, rotated, ceiling = (scale[end].get(name, Ends()) for end in ENDS)
    return Line(name, value, floor.mean, rotated.mean, ceiling.mean, floor.low, floor.high, rotated.low, rotated.high)


def _scores(
    tables: Sequence[Codes], truth: GroundTruth, test: GroundTruth | None, entry: tuple[str, Entry]
) -> dict[str, list[float]]:
    """Return the values of every line of an entry for several tables of codes, those of the test rows below."""
    rows = len(truth)
    split: list[Split | None] = [None if test is None else (codes[rows:], test) for codes in tables]
    sheets = [score_codes(codes[:rows], truth, [entry], test=each) for codes, each in zip(tables, split, strict=True)]
    names = [name for name in sheets[0].values if all(name in sheet.values for sheet in sheets)]
    return {name: [sheet.values[name] for sheet in sheets] for name in names}


def _stacked(truth: GroundTruth, test: GroundTruth) -> GroundTruth:
    """Put rows below others, whose groups are other groups."""
    values = np.concatenate((truth.values, test.values))
    if truth.groups is None or test.groups is None:
        return GroundTruth(values, truth.discrete)
    beyond = truth.groups.max() + 1 - test.groups.min()
    return GroundTruth(values, truth.discrete, np.concatenate((truth.groups, test.groups + beyond)))


def _key(truth: GroundTruth, test: GroundTruth | None, latent_dim: int) -> str:
    digest = hashlib.sha256(repr((latent_dim, DRAWS)).encode())
    for part in (truth, test):
        digest.update(b"none" if part is None else repr(part.shape).encode() + part.discrete.tobytes())
        if part is not None:
            digest.update(part.values.tobytes() + (b"" if part.groups is None else part.groups.tobytes()))
    return digest.hexdigest()[:24]


@functools.cache
def code_digest(entry: Entry) -> str:
    """Return a digest of the code that an entry runs: its module, and those of this program that it imports."""
    digest = hashlib.sha256(inspect.getsource(entry.compute).encode())
    if entry.reference is not None:
        digest.update(inspect.getsource(entry.reference).encode() + repr((REFERENCE_LEVELS, REFERENCE_ROWS)).encode())
    own = (entry.score.__module__, f"{PACKAGE}.chance", f"{PACKAGE}.polarised")
    for name in sorted(set().union(*map(_modules, own))):
        digest.update(_source(name))
    return digest.hexdigest()[:12]


def _modules(first: str) -> set[str]:
    """Return a module and all that it imports of this program, and these of it."""
    modules: set[str] = set()
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name in modules or not name.startswith(ROOT):
            continue
        modules.add(name)
        nodes = ast.walk(ast.parse(_source(name)))
        waiting += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return modules


def _source(name: str) -> bytes:
    return inspect.getsource(sys.modules[name]).encode()


def _read(path: Path | None, ends: Sequence[str]) -> Draws | None:
    if path is None or not path.is_file():
        return None
    try:
        draws: Draws = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(draws, dict) or set(draws) != set(ends):
        return None
    whole = all(isinstance(scores, dict) and all(scores.values()) for scores in draws.values())
    return draws if whole else None


def _write(path: Path | None, draws: Draws) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.tmp")
        half.write_text(json.dumps(draws))
        half.replace(path)
    except OSError:  # a read-only home costs time, not the scores
        return
