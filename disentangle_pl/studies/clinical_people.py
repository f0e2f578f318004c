"""Whom a probe may see: nobody is tested whom the encoder was trained on, and nobody is on two sides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.rescans import visit_rows
from disentangle_pl.brain.split import split_of
from disentangle_pl.brain.split_file import read_split, split_names
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.studies.run_files import Broken, read_config

Protocol = Literal["held-out", "train-test"]
HeldOut = Literal["both", "val", "test"]


class Sides(NamedTuple):
    """Rows of the table of visits, rescans left out.

    Attributes:
        train: Scans of people that the encoder was trained on.
        held_out: Scans of people that it has not seen.
    """

    train: Rows
    held_out: Rows


def sides_of(data: LongitudinalData, part: HeldOut) -> Sides:
    """Tell training from held-out scans.

    Args:
        data: Set up.
        part: Which of the held-out people.

    Raises:
        InputError: If somebody is on both sides, as in a cohort too small to hold people out.
    """
    named = {"both": ("val", "test")}.get(part, (part,))
    first = visit_rows(data.visits).to_numpy()
    train = data.parts.train.index.to_numpy(np.intp)
    held_out = np.unique(np.concatenate([getattr(data.parts, name).index.to_numpy(np.intp) for name in named]))
    people = data.visits["participant_id"].to_numpy()
    both = sorted(set(people[train]) & set(people[held_out]))
    if both:
        raise InputError(
            f"{listing(both, 3)} and {max(len(both) - 3, 0)} more are in training and held out: give --data.split_file "
            "with people in all three parts"
        )
    return Sides(train[first[train]], held_out[first[held_out]])


def refuse_seen(checkpoint: Path, data: LongitudinalData, held_out: Sequence[str]) -> None:
    """Refuse a model that was trained on people who are to be tested.

    Whom it was trained on says the config.yaml of its run: by a split file, or else by the hash of the ids.

    Args:
        checkpoint: Of the model.
        data: What is encoded.
        held_out: Participants to test.

    Raises:
        InputError: If it was, or nobody can tell.
    """
    path = checkpoint.absolute().parent.parent / "config.yaml"
    try:
        config = read_config(path, needed=False)
    except Broken as broken:
        raise InputError(f"whom {checkpoint} was trained on cannot be told: {path} is damaged ({broken})") from broken
    if not config:
        if data.split_file is None:
            raise InputError(
                f"whom {checkpoint} was trained on cannot be told: there is no {path}; name the split that it was "
                "trained with by --data.split_file"
            )
        return
    named = config.get("data.split_file")
    bare = [name.removeprefix("sub-") for name in held_out]
    if named:
        split = read_split(Path(str(named)))
        names = split_names(pd.Series(bare), split)
        seen = [name for name, part in zip(bare, names.map(split), strict=True) if part == "train"]
    else:
        seen = [name for name in bare if split_of(name) == "train"]
    if seen:
        how = f"by {named}" if named else "by the hash of their ids"
        raise InputError(
            f"{checkpoint} was trained on {len(seen)} of the {len(bare)} people to be tested ({listing(seen, 3)}), who "
            f"were split {how}: give the same --data.split_file"
        )
