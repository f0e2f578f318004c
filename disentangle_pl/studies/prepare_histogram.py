"""The standard histogram of a folder of prepared scans, learnt from scans of training people once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from disentangle_pl.brain.intensity import Histogram, Landmarks, landmarks_of, learnt_landmarks
from disentangle_pl.brain.journal import Journal
from disentangle_pl.brain.prepared import JOURNAL
from disentangle_pl.brain.split import split
from disentangle_pl.brain.split_file import read_split
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.brain.withdrawals import read_withdrawn
from disentangle_pl.errors import InputError

MOST = 100
"""Training people whose first scans are learnt from."""


def with_histogram(
    visits: pd.DataFrame,
    out: Path,
    preparation: Preparation,
    split_file: Path | None = None,
    jobs: int = 1,
    withdrawn: Path | None = None,
) -> Preparation:
    """Learn a standard histogram, and return the preparation with it; a folder that has one keeps it.

    Args:
        visits: Table of `read_visits`, without people who have withdrawn.
        out: The folder of prepared scans, new or of an earlier call.
        preparation: What happens before and after; its map of intensities is not used.
        split_file: Who is for training; None splits by a hash of the ids, as trainings do.
        jobs: Processes; -1 for one a core.
        withdrawn: People who have withdrawn, of whom a histogram that is there may have been learnt, which is said.

    Raises:
        InputError: If the split is wrong, or no scan of training people can be used.
    """
    earlier = Journal(out / JOURNAL).settings.get("intensity", {}).get("landmarks") if out.is_dir() else None
    if earlier:
        print(f"the histogram of {out} is that of an earlier call")
        if withdrawn and read_withdrawn(withdrawn):
            print(
                f"if scans of people in {withdrawn} were among those it was learnt from, their share is still in it: "
                "prepare into another --out to learn it anew without them"
            )
        return replace(preparation, intensity=Histogram(tuple(earlier)))
    paths = training_scans(visits, split_file)
    found = Parallel(n_jobs=jobs)(delayed(_landmarks)(Path(path), preparation) for path in paths)
    usable = [each for each in found if each is not None]
    if not usable:
        raise InputError(f"none of {len(paths)} scans of training people has a histogram to learn from")
    print(f"the standard histogram is that of {len(usable)} training people's first scans")
    return replace(preparation, intensity=Histogram(learnt_landmarks(usable)))


def training_scans(visits: pd.DataFrame, split_file: Path | None) -> list[str]:
    """Return the paths of the first scans of training people, 100 at most, evenly over the table.

    Raises:
        InputError: If the split is wrong, or nobody is for training.
    """
    if split_file is None:
        train = split(visits).train
    else:
        part = visits["participant_id"].str.removeprefix("sub-").map(read_split(split_file))
        train = visits[part == "train"]
    first = train.drop_duplicates("participant_id")["path"].tolist()
    if not first:
        raise InputError(f"{split_file} has none of these people for training: give the split of these scans")
    places = np.unique(np.linspace(0, len(first) - 1, MOST).round().astype(int))
    return [first[place] for place in places]


def _landmarks(path: Path, preparation: Preparation) -> Landmarks | None:
    try:
        return landmarks_of(preparation.unscaled(path))
    except InputError:
        return None  # the preparation says what is wrong with it
