"""A split written once, and read back by everything that follows."""

import hashlib
from io import StringIO
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.split import Split, in_parts
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.errors import InputError

_HEAD = "# sha256:"


def write_split(path: Path, part: pd.Series, how: str) -> None:
    """Write participant_id and part as a .tsv or .csv file; its first line holds the hash of the rest.

    Args:
        path: A new file, or one with the same split, which stays as it is.
        part: "train", "val" or "test" by participant_id.
        how: One line for people: how the split was made.

    Raises:
        InputError: If the file holds another split.
    """
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    body = part.rename_axis("participant_id").rename("part").to_csv(sep=separator, lineterminator="\n")
    if path.exists():
        if read_split(path).sort_index().equals(_bare(part).sort_index()):
            return
        raise InputError(f"{path} holds another split: delete it, or write to another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{_HEAD}{_hash(body)} {how}\n{body}", encoding="utf-8")


def read_split(path: Path) -> pd.Series:
    """Read the part of every participant, by participant_id without the sub- of BIDS.

    A file without the first line, made by hand, is as good.

    Raises:
        InputError: If it cannot be read, was changed after it was written, or has a participant in two parts or none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the split {path} cannot be read ({error}): write one by disentangle-pl scans") from error
    head, _, body = text.partition("\n")
    if not head.startswith("#"):
        body = text
    elif head.startswith(_HEAD) and head.removeprefix(_HEAD).split(" ")[0] != _hash(body):
        raise InputError(f"the split {path} was changed after it was written: delete its first line if you mean it")
    table = read_table(path, ["participant_id", "part"], StringIO(body))
    wrong = table[~table["part"].isin(Split._fields) | table["participant_id"].isna()]
    if len(wrong):
        raise InputError(
            f"the split {path} has {wrong['part'].iloc[0]!r} as the part of {wrong['participant_id'].iloc[0]}: "
            f"write one of {', '.join(Split._fields)}"
        )
    part = _bare(table.set_index("participant_id")["part"])
    both = part.groupby(level=0).nunique()
    if (both > 1).any():
        raise InputError(f"the split {path} has {listing(both[both > 1].index.tolist())} on two sides")
    return part[~part.index.duplicated()]


def split_by(visits: pd.DataFrame, part: pd.Series, images: pd.Series) -> Split:
    """Split visits as a file says.

    Args:
        visits: Table of `read_visits`.
        part: Of `read_split`.
        images: (N,) a hash of the contents of every scan, missing where it has no twin.

    Raises:
        InputError: If a participant has no part, no visit is for training, or the same image is on two sides.
    """
    mine = visits["participant_id"].str.removeprefix("sub-").map(part)
    lost = visits.loc[mine.isna(), "participant_id"].unique().tolist()
    if lost:
        raise InputError(f"the split has no part for {len(lost)} participants: {listing(lost)}")
    if not (mine == "train").any():
        raise InputError("the split has nobody of these visits in train")
    sides = mine.groupby(images).transform("nunique")
    both = visits.loc[sides > 1, "path"].tolist()
    if both:
        raise InputError(f"the same image is on two sides of the split: {listing(both)}")
    return in_parts(visits, mine)


def _bare(part: pd.Series) -> pd.Series:
    return part.set_axis(part.index.astype("str").str.removeprefix("sub-")).astype(object).rename("part")


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
