"""Whom a probe may see: nobody is tested whom the encoder was trained on, and nobody is on two sides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.rescans import visit_rows
from disentangle_pl.brain.tables import listing
from disentangle_pl.data.provenance import trained_on
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.models.checkpoint import provenance_of
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.exposure import Exposure, exposure_to

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


def refuse_seen(checkpoint: Path, data: LongitudinalData, held_out: Sequence[str]) -> Exposure:
    """Refuse a model that was trained on people who are to be tested.

    Args:
        checkpoint: Of the model.
        data: What is encoded, set up.
        held_out: Participants to test.

    Returns:
        What is known of the scans that it has seen.

    Raises:
        InputError: If it was, by the hashes in the checkpoint.
    """
    provenance = provenance_of(checkpoint)
    seen = trained_on(provenance, held_out)
    if seen:
        raise InputError(
            f"{checkpoint} was trained on {len(seen)} of the {len(held_out)} people to be tested "
            f"({listing(sorted(seen), 3)}), by the hashes in it: give the split that it was trained with by "
            "--data.split_file, or leave these people out of the table of scans"
        )
    return exposure_to(provenance, data, run_names([checkpoint])[0])
