"""The ends of every scale on the factors at hand: noise, rotated and perfect codes, scored once and remembered."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.score import Codes, Factors, Split, ground_truth
from disentangle_pl.metrics.sheet import ALL, Entry, Line, Scored, score_codes

References: TypeAlias = dict[str, dict[str, float]]
Watch: TypeAlias = Callable[[Sequence[tuple[str, Entry]], str], Iterable[tuple[str, Entry]]]
WORDS = {"floor": "noise", "rotated": "rotated", "ceiling": "perfect"}
ENDS = tuple(WORDS)


def silent(entries: Sequence[tuple[str, Entry]], words: str) -> Iterable[tuple[str, Entry]]:
    """Pass the entries on without a word."""
    return entries


def reference_codes(factors: Factors, latent_dim: int) -> dict[str, Codes]:
    """Make codes (N, latent_dim) for factors (N, k): noise and, if there is a latent a factor, rotated and perfect."""
    truth = ground_truth(factors)
    codes: dict[str, Codes] = {"floor": noise_codes(len(truth), latent_dim)}
    if latent_dim >= truth.shape[1]:
        codes |= {"rotated": rotated_codes(truth, latent_dim), "ceiling": perfect_codes(truth, latent_dim)}
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

    They depend on the factors alone, not on a model: a sweep over one data set needs them once.

    Args:
        factors: (N, k) of the rows that are scored.
        latent_dim: The number of latents.
        entries: Entries of the sheet by name.
        test: Factors (M, k) of the test rows, or None if the last third of `factors` is that.
        folder: Where to remember them, as long as factors, entries and this package stay the same; None for nowhere.
        watch: Passes the entries on and may show how far they are.

    Returns:
        Every score by name, for `floor`, `rotated` and `ceiling`; with fewer latents than factors the last two are
        empty.
    """
    path = folder / f"{_key(factors, test, latent_dim, entries)}.json" if folder else None
    known = _read(path)
    if known is not None:
        return known
    codes = reference_codes(_stacked(factors, test), latent_dim)
    found: dict[str, dict[str, float]] = {end: {} for end in ENDS}
    for end, rows in codes.items():
        held_out: Split | None = None if test is None else (rows[len(factors) :], test)
        watched = watch(list(entries.items()), f"scoring {WORDS[end]} codes")
        found[end] = score_codes(rows[: len(factors)], factors, watched, test=held_out).values
    _write(path, found)
    return found


def full_sheet(
    codes: Codes,
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
        entries: Entries by name; only those of `sheet.ALL` are remembered.
        test: Codes (M, d) and factors (M, k) for the probes, or None for the last third of the rows.
        ends: Compute floor, rotation and ceiling; otherwise they are NaN.
        folder: Where to remember these; None for nowhere.
        watch: Passes the entries on and may show how far they are.

    Returns:
        The lines of the sheet, and the scores with their times and what was refused.

    Raises:
        InputError: If the codes or factors fail `score.check`.
    """
    scored = score_codes(codes, factors, watch(list(entries.items()), "scoring"), test=test)
    found: dict[str, dict[str, float]] = {end: {} for end in ENDS}
    lasting = {name: entry for name, entry in entries.items() if ALL.get(name) is entry}
    own = {name: entry for name, entry in entries.items() if name not in lasting}
    held_out = None if test is None else test[1]
    for some, place in ((lasting, folder), (own, None)):
        if ends and some:
            known = references(factors, codes.shape[1], some, test=held_out, folder=place, watch=watch)
            for end in ENDS:
                found[end] |= known[end]
    nan = float("nan")
    lines = [Line(name, value, *(found[end].get(name, nan) for end in ENDS)) for name, value in scored.values.items()]
    return lines, scored


def _stacked(factors: Factors, test: Factors | None) -> Factors:
    truth = ground_truth(factors)
    if test is None:
        return truth
    return type(truth)(np.concatenate((truth.values, ground_truth(test).values)), truth.discrete)


def _key(factors: Factors, test: Factors | None, latent_dim: int, entries: Mapping[str, Entry]) -> str:
    digest = hashlib.sha256()
    for part in (factors, test):
        if part is not None:
            truth = ground_truth(part)
            digest.update(repr(truth.shape).encode() + truth.discrete.tobytes() + truth.values.tobytes())
    digest.update(repr((latent_dim, test is None, sorted(entries))).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _read(path: Path | None) -> References | None:
    if path is None or not path.is_file():
        return None
    try:
        known: References = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) and set(known) == set(ENDS) else None


def _write(path: Path | None, found: References) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.tmp")
        half.write_text(json.dumps(found))
        half.replace(path)
    except OSError:  # a read-only home costs time, not the scores
        return
