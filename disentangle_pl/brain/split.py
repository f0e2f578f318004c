"""Training, validation and test parts that never share a participant."""

import hashlib
import logging
from typing import NamedTuple

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

_warn = rank_zero_only(logging.getLogger(__name__).warning)

FRACTIONS = (0.8, 0.1, 0.1)
FEWEST = 3


class Split(NamedTuple):
    """Three parts of a table of visits; each keeps the row numbers of the whole table as its index."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame


def split_of(participant_id: str, fractions: tuple[float, float, float] = FRACTIONS, salt: str = "") -> str:
    """Tell the part of a participant from the id alone, so that it stays the same as the cohort grows.

    Args:
        participant_id: With or without the sub- of BIDS, which makes no difference.
        fractions: Expected shares of train, val and test; they sum to 1.
        salt: Another salt gives another, independent split.

    Returns:
        "train", "val" or "test".
    """
    digest = hashlib.sha256(f"{salt}/{participant_id.removeprefix('sub-')}".encode()).digest()
    uniform = int.from_bytes(digest[:8], "big") / 2**64
    if uniform < fractions[0]:
        return "train"
    return "val" if uniform < fractions[0] + fractions[1] else "test"


def split(visits: pd.DataFrame, fractions: tuple[float, float, float] = FRACTIONS, salt: str = "") -> Split:
    """Split visits by participant.

    One rule serves tiny cohorts. A part that the hash leaves empty gets the participants of train; with fewer
    than three participants, or none in train, every part gets everybody. Both are said as a warning, because
    numbers of such a part are not held-out.

    Args:
        visits: Table with a participant_id column.
        fractions: As in `split_of`.
        salt: As in `split_of`.

    Returns:
        Three parts, none empty unless `visits` is.
    """
    part = visits["participant_id"].map(lambda participant: split_of(participant, fractions, salt))
    if visits["participant_id"].nunique() < FEWEST or not (part == "train").any():
        part = part.map(lambda _: "train")
    return in_parts(visits, part)


def in_parts(visits: pd.DataFrame, part: pd.Series) -> Split:
    """Cut a table of visits; validation or test without a participant gets those of train, said as a warning.

    Args:
        visits: Table with a participant_id column.
        part: (N,) "train", "val" or "test" of every visit.
    """
    train, val, test = (visits[part == name] for name in Split._fields)
    empty = [name for name, rows in (("validation", val), ("test", test)) if rows.empty]
    if empty:
        _warn(
            "%d participants are too few: the %d of training also serve as %s; this is NOT held-out",
            visits["participant_id"].nunique(),
            train["participant_id"].nunique(),
            " and ".join(empty),
        )
    return Split(train, train if val.empty else val, train if test.empty else test)
