"""Who of a data set has been seen by a model: the one check of all that speaks of held-out people.

What counts are the hashes in the checkpoint, which belong to the weights (see `data.provenance`). A split says who is
meant to be held out; after a training it may be overwritten, exchanged, or that of another model.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.data.provenance import Provenance, chosen_by, trained_on

Mask = NDArray[np.bool_]


class Exposure(NamedTuple):
    """What a model has seen of N scans.

    Attributes:
        seen: (N,) scans of people that it was trained on.
        certain: Whether the checkpoint says so; else `seen` are the training people of the split.
        cautions: Sentences without a stop, to be said loudly.
    """

    seen: Mask
    certain: bool
    cautions: tuple[str, ...]


class Sides(NamedTuple):
    """Rows of the table of visits, in order.

    Attributes:
        train: Scans that other things are fitted to, such as slopes, probes and ComBat: of the training people of the
            split, and of those that the model was trained on.
        held_out: Scans of the others.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def exposure_to(provenance: Provenance, data: LongitudinalData, model: str = "the model") -> Exposure:
    """Tell the scans of data that are set up, by who the model was trained on.

    Args:
        provenance: Of the model.
        data: Set up.
        model: Its name, for the sentences.
    """
    return exposure(provenance, data.visits["participant_id"], data.people, model)


def exposure(provenance: Provenance, people: pd.Series, parts: dict[str, str], model: str = "the model") -> Exposure:
    """Tell the scans of people that a model was trained on.

    Args:
        provenance: Of the model.
        people: (N,) participant of every scan.
        parts: train, val or test by participant, as the split of the data says now.
        model: Its name, for the sentences.
    """
    names = people.unique().tolist()
    train = {name for name, part in parts.items() if part == "train"}
    known = trained_on(provenance, names)
    if not provenance.complete:
        return Exposure(people.isin(known | train).to_numpy(), False, (_unknown(model),))
    wrong = [name for name in names if name in known and parts.get(name) in ("val", "test")]
    chosen = chosen_by(provenance, [name for name in names if parts.get(name) == "test"]) - known
    cautions = [_wrong(model, wrong, sum(part != "train" for part in parts.values()))] if wrong else []
    if chosen:
        cautions.append(
            f"{len(chosen)} of the test people here ({listing(sorted(chosen), 3)}) were for validation when {model} "
            "was trained: its checkpoint may have been chosen by them"
        )
    return Exposure(people.isin(known).to_numpy(), True, tuple(cautions))


def sides_by(seen: Exposure, train: NDArray[np.integer], held_out: NDArray[np.integer]) -> Sides:
    """Choose what to fit to and what to test on, so that nobody is on two sides.

    Where the split holds nobody out, as of a handful of people, all are on both, as it says in its own warning.

    Args:
        seen: Of all scans.
        train: Rows of the training part.
        held_out: Rows of the validation and test parts.
    """
    if len(held_out) and np.isin(held_out, train).all():
        return Sides(train.astype(np.int64), np.unique(held_out).astype(np.int64))
    everybody = np.unique(np.concatenate((train, held_out))).astype(np.int64)
    fit = np.isin(everybody, train) | seen.seen[everybody]
    return Sides(everybody[fit], everybody[~fit])


def cautions_of(exposed: Iterable[Exposure]) -> list[str]:
    """Return what is to be said of several models, each sentence once."""
    return list(dict.fromkeys(caution for each in exposed for caution in each.cautions))


def print_cautions(cautions: Iterable[str]) -> None:
    """Print cautions, each on a line of its own."""
    for caution in cautions:
        Console().print(f"CAUTION: {caution}.", soft_wrap=True, markup=False, highlight=False)


def _wrong(model: str, people: Sequence[str], held_out: int) -> str:
    return (
        f"{model} was trained on {len(people)} of the {held_out} people whom the split of these data holds out "
        f"({listing(list(people), 3)}), by the hashes in its checkpoint: the split is not that of the training"
    )


def _unknown(model: str) -> str:
    return (
        f"nobody can tell whom {model} was trained on: its checkpoint was begun by an earlier version of this "
        "package, which did not write it down. That the people held out here are new to it rests on the split of "
        "these data alone. Fit it anew to be sure"
    )
