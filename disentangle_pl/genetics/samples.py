"""The people of genotype files: .fam and .psam of PLINK, .sample of Oxford's programs.

Source: https://www.cog-genomics.org/plink/2.0/formats for all three.
"""

from pathlib import Path

import pandas as pd

from disentangle_pl.errors import InputError, listing

FAM = ["fid", "iid", "father", "mother", "sex", "trait"]
NOBODY = "0"
_SEXES = {"1": "M", "2": "F", "m": "M", "f": "F", "male": "M", "female": "F"}


def read_samples(path: Path, need: str) -> pd.DataFrame:
    """Read columns fid and iid (text) and sex (M, F, or missing) of a .fam, .psam or .sample, told by its first line.

    A family that is not given is 0, as in plink2.

    Args:
        path: Of the file.
        need: Why it is read, for messages.

    Raises:
        InputError: If it cannot be read, or a person is there twice.
    """
    first, second = _head(path, need)
    if first[:1] and first[0].lower() in ("#fid", "#iid"):
        people = _named(path, [name.lstrip("#").lower() for name in first], 1)
    elif second[:1] == [NOBODY] and first[0].lower().startswith("id"):
        names = [name.lower() for name in first]
        iid = "id_2" if "id_2" in names else names[0]
        people = _named(path, ["iid" if name == iid else "fid" if name == "id_1" else name for name in names], 2)
    else:
        people = headless_table(path, FAM, need)
    people = pd.DataFrame(
        {
            "fid": people.get("fid", NOBODY),
            "iid": people["iid"],
            "sex": people["sex"].str.lower().map(_SEXES) if "sex" in people else None,
        }
    )
    twice = people.loc[people.duplicated(["fid", "iid"]), "iid"].tolist()
    if twice:
        raise InputError(f"{path} has {listing(twice, 3)} more than once: keep one line a person")
    return people


def _head(path: Path, need: str) -> tuple[list[str], list[str]]:
    """Return the words of the first two lines, but those of comments."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = (line.split() for line in file if not line.startswith("##"))
            return next(lines, []), next(lines, [])
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): {need}") from error


def _named(path: Path, names: list[str], skipped: int) -> pd.DataFrame:
    """Read a table with these names of columns, below comments and some lines more."""
    comments = 0
    with path.open(encoding="utf-8-sig") as file:
        while file.readline().startswith("##"):
            comments += 1
    try:
        return pd.read_csv(
            path,
            sep=r"\s+",
            header=None,
            names=names,
            skiprows=comments + skipped,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            index_col=False,
            encoding="utf-8-sig",
        )
    except ValueError as error:
        raise InputError(f"{path} cannot be read as a table of {listing(names)} ({error}): write it anew") from error


def headless_table(path: Path, columns: list[str], need: str, optional: str | None = None) -> pd.DataFrame:
    """Read a table without header; one column may be absent, as plink2 allows that of centimorgans.

    Raises:
        InputError: If it cannot be read, or has another number of columns.
    """
    try:
        table = pd.read_csv(path, sep=r"\s+", header=None, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): {need}") from error
    if optional and table.shape[1] == len(columns) - 1:
        columns = [name for name in columns if name != optional]
    if table.shape[1] != len(columns):
        raise InputError(f"{path} has {table.shape[1]} columns and ought to have {len(columns)}: {', '.join(columns)}")
    return table.set_axis(columns, axis=1)
