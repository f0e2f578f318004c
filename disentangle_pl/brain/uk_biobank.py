"""Structural scans as UK Biobank hands them out in bulk: a folder or a .zip a person, field and instance.

Source: Alfaro-Almagro et al. 2018, Image processing and quality control for the first 10,000 brain imaging datasets
from UK Biobank, NeuroImage 166:400-424; https://biobank.ndph.ox.ac.uk/showcase, fields 20252 and 20253.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.bids import USUAL, in_order
from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.scan_choice import Candidate, Choice, Entities, Suffix, one_each

FIELDS: dict[Suffix, str] = {"T1w": "20252", "FLAIR": "20253"}
"""Bulk fields of NIfTI files; there is no T2w beside FLAIR."""

_IMAGES: dict[Suffix, str] = {"T1w": "T1/T1", "FLAIR": "T2_FLAIR/T2_FLAIR"}
_ENDINGS: dict[str, Entities] = {
    "_brain_to_MNI.nii.gz": {"space": "MNI152", "desc": "brain"},
    "_brain.nii.gz": {"desc": "brain"},
    ".nii.gz": {},
}
_BULK = re.compile(r"(\d+)_(\d{5})_(\d+)_0(\.zip)?", re.IGNORECASE)
_WARPED = (
    "%d scans are warped to MNI152 by UK Biobank, not linearly: much of how sizes and shapes differ is gone from them; "
    "take --filter space=none desc=brain, and prepare --align, where atrophy matters"
)


def is_uk_biobank(root: Path, choice: Choice = USUAL) -> bool:
    """Tell whether there is a folder or a .zip of the field, such as 1000001_20252_2_0.zip."""
    return next(_bulk(root, choice.suffix), None) is not None


def read_uk_biobank(root: Path, choice: Choice = USUAL) -> pd.DataFrame:
    """Find one scan a person and instance: participants are sub-1000001, sessions ses-2, ses-3.

    Folders and archives lie in the root or in folders within it, up to two deep, as on the Research Analysis Platform
    (`Brain MRI/T1/10`). Of the images in them T1_brain_to_MNI is taken (space-MNI152, desc-brain), of a person who
    lacks one T1_brain (desc-brain), then T1; archives are read without unpacking them.

    Args:
        root: The folder.
        choice: Which scans are wanted, T1w or FLAIR.

    Returns:
        Columns participant_id, session_id and path; ages and dates come from the tables of the showcase (mapping
        uk_biobank). A person and instance without any of the images has a path to a file that is not there.

    Raises:
        InputError: If no scan has the entities asked for.
    """
    scans, empty = [], []
    archives_first = sorted(_bulk(root, choice.suffix), key=lambda each: each[1].suffix, reverse=True)
    bulk = dict(archives_first)  # and so a folder is taken for an archive of the same name
    for who, path in bulk.items():
        names, images = _contents(path), {_IMAGES[choice.suffix] + ending: key for ending, key in _ENDINGS.items()}
        scans += [Candidate(who, path / name, entities) for name, entities in images.items() if name in names]
        empty += [] if names & images.keys() else [(*who, str((path / next(iter(images))).absolute()))]
    table = one_each(scans, choice, _most_prepared) if scans else pd.DataFrame(columns=[*KEYS, "path"])
    warped = int(table["path"].str.endswith("_to_MNI.nii.gz").sum())
    if warped:
        rank_zero_info(_WARPED, warped)
    return in_order(pd.concat([table, pd.DataFrame(empty, columns=table.columns)]))


def _bulk(root: Path, suffix: Suffix) -> Iterator[tuple[tuple[str, str], Path]]:
    for depth in ("", "*/", "*/*/") if suffix in FIELDS else ():
        for path in root.glob(f"{depth}*_{FIELDS[suffix]}_*_0*"):
            name = _BULK.fullmatch(path.name)
            if name and (name[4] or path.is_dir()):
                yield (f"sub-{name[1]}", f"ses-{name[3]}"), path


def _contents(path: Path) -> set[str]:
    """Name the files of a folder or archive."""
    if path.is_dir():
        return {each.relative_to(path).as_posix() for each in path.glob("T*/*")}
    try:
        with ZipFile(path) as archive:
            return set(archive.namelist())
    except (BadZipFile, OSError):
        return set()  # `absence` tells why


def _most_prepared(entities: Entities) -> int:
    return -len(entities)
