"""A split written once, and read back by everything that follows."""

import hashlib
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.scan_files import write_bytes
from disentangle_pl.brain.split import Split, in_parts
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.data.provenance import loose_name
from disentangle_pl.errors import InputError

_HEAD = "# sha256:"
_FRACTIONS = re.compile(r"fractions (0\.\d+) (0\.\d+) (0\.\d+)")


def write_split(path: Path, part: pd.Series, how: str) -> None:
    """Write participant_id and part as a .tsv or .csv file; its first line holds the hash of the rest.

    Args:
        path: A new file, or one with the same split, which stays as it is.
        part: "train", "val" or "test" by participant_id.
        how: One line for people: how the split was made.

    Raises:
        InputError: If the file holds another split.
    """
    if path.exists():
        if read_split(path).sort_index().equals(_bare(part).sort_index()):
            return
        raise InputError(f"{path} holds another split: delete it, or write to another file")
    _write(path, part.rename_axis("participant_id").rename("part").reset_index(), how)


def extend_split(path: Path, part: pd.Series, how: str, gone: Sequence[str] = ()) -> None:
    """Add people to a split, and drop those who have withdrawn; the rows of all others stay as they are.

    Args:
        path: Of `write_split`, or made by hand.
        part: As in `write_split`, of new people only.
        how: One line for people: how the new ones were dealt out.
        gone: Ids, as `read_split` has them, of people to drop. With nobody to add and to drop the file stays as it is.

    Raises:
        InputError: As `read_split`.
    """
    if part.empty and not len(gone):
        return
    table, before = _read(path)
    table = table[~_bare(table.set_index("participant_id")["part"]).index.isin(gone)]
    rows = part.rename_axis("participant_id").rename("part").reset_index()
    done = [before, f"{len(gone)} people who have withdrawn dropped" if len(gone) else "", how if len(part) else ""]
    _write(path, pd.concat([table, rows], ignore_index=True)[table.columns], "; ".join(filter(None, done)))


def fractions_of(path: Path) -> tuple[float, float, float] | None:
    """Return the shares of train, val and test that a split says it was made with, None if it does not say.

    Raises:
        InputError: As `read_split`.
    """
    match = _FRACTIONS.search(_read(path)[1])
    return (float(match[1]), float(match[2]), float(match[3])) if match else None


def read_split(path: Path) -> pd.Series:
    """Read the part of every participant, by participant_id without the sub- of BIDS.

    A file without the first line, made by hand, is as good.

    Raises:
        InputError: If it cannot be read, was changed after it was written, or has a participant in two parts or none.
    """
    table, _ = _read(path)
    wrong = table[~table["part"].isin(Split._fields) | table["participant_id"].isna()]
    if len(wrong):
        raise InputError(
            f"the split {path} has {wrong['part'].iloc[0]!r} as the part of {wrong['participant_id'].iloc[0]}: "
            f"write one of {', '.join(Split._fields)}"
        )
    part = _bare(table.set_index("participant_id")["part"])
    sides = part.groupby(level=0).nunique()
    if (sides > 1).any():
        raise InputError(f"the split {path} has {listing(sides[sides > 1].index.tolist())} on two sides")
    return part[~part.index.duplicated()]


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    """Return the rows of a split, and how it was made."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the split {path} cannot be read ({error}): write one by disentangle-pl scans") from error
    head, _, body = text.partition("\n")
    if not head.startswith("#"):
        body = text
    elif head.startswith(_HEAD) and head.removeprefix(_HEAD).split(" ")[0] != _hash(body):
        raise InputError(f"the split {path} was changed after it was written: delete its first line if you mean it")
    how = head.removeprefix(_HEAD).partition(" ")[2] if head.startswith(_HEAD) else ""
    return read_table(path, ["participant_id", "part"], StringIO(body)), how


def _write(path: Path, table: pd.DataFrame, how: str) -> None:
    body = table.to_csv(sep="," if path.suffix.lower() == ".csv" else "\t", index=False, lineterminator="\n")
    write_bytes(path, f"{_HEAD}{_hash(body)} {how}\n{body}".encode())


def split_names(people: pd.Series, part: pd.Series) -> pd.Series:
    """Return how a split spells the ids of people.

    An id is the same with or without the sub- of BIDS. Where it is not in the split so, blanks around it, upper and
    lower case and zeros in front of numbers count for nothing either, unless they tell two people of the split, or two
    of `people`, apart.

    Args:
        people: Ids, in any order.
        part: Of `read_split`.

    Returns:
        Those of `part`, or the ids without sub- where the split has no such person, at the index of `people`.
    """
    bare = people.str.removeprefix("sub-")
    ids = pd.Series(bare.unique(), dtype=object)
    strangers = ids[~ids.isin(part.index)].map(loose_name).drop_duplicates(keep=False)
    unused = part.index[~part.index.isin(ids)].to_series().map(loose_name).drop_duplicates(keep=False)
    names = dict(zip(unused, unused.index, strict=True))
    same = {ids[i]: names[like] for i, like in zip(strangers.index, strangers, strict=True) if like in names}
    if same:
        spellings = [f"{id_here} is {name}" for id_here, name in same.items()]
        rank_zero_info(f"{len(same)} people are spelled otherwise in the split: {listing(spellings, 3)}")
    return bare.map(lambda name: same.get(name, name))


def split_by(visits: pd.DataFrame, part: pd.Series, images: pd.Series) -> Split:
    """Split visits as a file says; people of the split who are not there are said.

    Args:
        visits: Table of `read_visits`.
        part: Of `read_split`.
        images: (N,) the same for scans of the same contents, missing where a scan has no copy.

    Raises:
        InputError: If a participant has no part, no visit is for training, or the same image is on two sides.
    """
    names = split_names(visits["participant_id"], part)
    sides = names.map(part)
    lost = visits.loc[sides.isna(), "participant_id"].unique().tolist()
    if lost:
        raise InputError(
            f"the split has no part for {len(lost)} of {visits['participant_id'].nunique()} participants "
            f"({listing(lost)}): disentangle-pl scans with the same --split deals out the new ones, and everyone else "
            "keeps their part"
        )
    if not (sides == "train").any():
        raise InputError("the split has nobody of these visits in train")
    absent = part.index[~part.index.isin(names)].tolist()
    if absent:
        rank_zero_info(f"{len(absent)} of {len(part)} people of the split have no scan here: {listing(absent)}")
    refuse_shared(visits, sides, images)
    return in_parts(visits, sides)


def refuse_shared(visits: pd.DataFrame, part: pd.Series, images: pd.Series) -> None:
    """Refuse parts (N,) of visits between which an image is shared.

    Raises:
        InputError: If there is such an image.
    """
    shared = part.groupby(images).transform("nunique") > 1
    if shared.any():
        raise InputError(
            f"the same image is on two sides of the split: {listing(visits.loc[shared, 'path'].tolist())}; leave one "
            "out, or write a split by disentangle-pl scans --split, which keeps such people together, and fit with it"
        )


def _bare(part: pd.Series) -> pd.Series:
    return part.set_axis(part.index.astype("str").str.removeprefix("sub-")).astype(object).rename("part")


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
