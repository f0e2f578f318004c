"""Whom to train on and whom to hold out, so that both sides look alike.

Source: Wen et al. 2020, Convolutional neural networks for classification of Alzheimer's disease, Medical Image Analysis
63:101694, on what leaks when people, or images of theirs, are on two sides.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from disentangle_pl.brain.split import FEWEST, FRACTIONS, Split
from disentangle_pl.brain.tables import listing, natural
from disentangle_pl.errors import InputError

STRATA = ("diagnosis", "sex", "age_band", "site")
BAND = 10.0


def stratified(
    visits: pd.DataFrame,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    group: str | None = None,
    images: pd.Series | None = None,
    before: pd.Series | None = None,
) -> tuple[pd.Series, list[str]]:
    """Give every participant a part.

    Participants are ordered by diagnosis, sex, age band of ten years and site at the first visit where these are known,
    at random within a stratum, and dealt out so that the shares are right all along. Strata of fewer people than it
    takes to fill every part are merged with their like, the finest division first. Whole groups are dealt out from the
    largest to the smallest instead; strata then count for nothing.

    Whoever has a part already keeps it. New people join those they must stay with, and the others go, one by one, where
    people are lacking most, in their own stratum and in all together.

    Args:
        visits: Table of `read_visits`.
        seed: Another seed gives another split; the order of the rows makes no difference.
        fractions: Shares of train, val and test; they sum to 1.
        group: A column whose groups stay together: site, to hold out whole sites, or any other.
        images: (N,) contents of the scans that have twins (see `twins`), else missing; people who share an image stay
            together.
        before: The parts of those who have one, by participant_id as in `visits`; None for nobody.

    Returns:
        "train", "val" or "test" for every participant_id, and what to know about it, in sentences.

    Raises:
        InputError: If the fractions are no shares, the column is not there, there are fewer than three groups, or
            somebody new must stay with people of two parts.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"fractions {fractions} must be three positive shares that sum to 1")
    people = _people(visits)
    together, remarks = _together(visits, people.index, group, images)
    had = pd.Series(dtype=object) if before is None else before
    if had.empty and together.nunique() < FEWEST:
        raise InputError(
            f"{together.nunique()} groups of people who must stay together ({group or 'participant_id'}, the same "
            "image) cannot be split into three parts: bring more, or another column"
        )
    if group:
        strata = pd.Series("", index=people.index)
    else:
        strata, sentences = _strata(people, int(np.ceil(1 / min(fractions))))
        remarks += sentences
    old = had.reindex(people.index).astype(object)
    part = old.where(old.notna(), _joined(old, together))
    table = pd.DataFrame({"unit": together, "stratum": strata, "size": 1})[part.isna()]
    units = table.groupby("unit").agg({"stratum": "first", "size": "sum"})
    units["lot"] = [_lot(str(unit), seed) for unit in units.index]
    units["rank"] = -units["size"] if group else 0
    units = units.sort_values(["rank", "stratum", "lot"])
    if had.empty:
        dealt = _deal(units["size"].tolist(), fractions)
    else:
        dealt = _deal_more(units[["stratum", "size"]], fractions, pd.crosstab(strata, part))
    new = together.map(pd.Series(dealt, index=units.index, dtype=object))
    return part.where(part.notna(), new).rename("part"), remarks


def _joined(part: pd.Series, together: pd.Series) -> pd.Series:
    """Return for each participant the part of those it must stay with, missing if they have none."""
    parts = part.groupby(together)
    torn = part[part.isna() & (parts.transform("nunique") > 1)].index.tolist()
    if torn:
        raise InputError(
            f"{listing(torn)} must stay with people of two parts of the split: leave them out, or make a new split"
        )
    return parts.transform("first").astype(object)


def _people(visits: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of each participant at the first visit where it is known."""
    in_time = visits.sort_values(["participant_id", "years"], kind="stable")
    people = in_time.groupby("participant_id")[["diagnosis", "sex", "age", "site"]].first()
    bands = (people["age"].astype("float64") // BAND * BAND).map("{:03.0f}".format, na_action="ignore")
    return people.assign(age_band=bands).sort_index(key=lambda index: natural(index.to_series()))


def _strata(people: pd.DataFrame, fewest: int) -> tuple[pd.Series, list[str]]:
    traits = [name for name in STRATA if people[name].notna().any() and people[name].nunique(dropna=False) > 1]
    if not traits:
        return pd.Series("", index=people.index), [
            "the split is not stratified: nothing is known that tells people apart"
        ]
    cells = people[traits].fillna("unknown").astype("str")
    unassigned = pd.Series(True, index=people.index)
    strata = pd.Series("", index=people.index)
    for depth in range(len(traits), 0, -1):
        labels = cells[traits[:depth]].agg(" / ".join, axis=1)[unassigned]
        enough = labels[labels.map(labels.value_counts()) >= fewest]
        strata[enough.index] = enough
        unassigned[enough.index] = False
    finest = cells.agg(" / ".join, axis=1)
    small = int((finest.value_counts() < fewest).sum())
    remarks = [f"stratified by {' x '.join(traits)}: {strata.nunique()} strata of {finest.nunique()}"]
    if small:
        remarks.append(f"{small} strata of fewer than {fewest} people were merged with others like them")
    return strata, remarks


def _together(
    visits: pd.DataFrame, people: "pd.Index[str]", group: str | None, images: pd.Series | None
) -> tuple[pd.Series, list[str]]:
    """Name for each participant whom it must stay with."""
    links = [visits["participant_id"]]
    if group:
        links.append(_group(visits, group))
    if images is not None:
        links.append(images)
    connected = _components(people, links)
    shared = connected[connected.duplicated(keep=False)].index.tolist() if images is not None and not group else []
    remarks = [f"these share an image, and stay together: {listing(shared)}"] if shared else []
    if group:
        remarks.append(f"whole groups of {group} are held out: {connected.nunique()} of them; strata are not balanced")
    return connected, remarks


def _group(visits: pd.DataFrame, name: str) -> pd.Series:
    if name not in visits.columns:
        raise InputError(f"there is no column {name} to group by: choose one of {', '.join(map(str, visits.columns))}")
    group = visits.groupby("participant_id")[name].transform("first")
    lacking = visits.loc[group.isna(), "participant_id"].unique().tolist()
    if lacking:
        raise InputError(f"{name} is not known of {listing(lacking)}: they cannot be grouped by it")
    return visits[name].fillna(group)


def _components(people: "pd.Index[str]", links: Sequence[pd.Series]) -> pd.Series:
    """Name each connected group after its first participant."""
    who = people.get_indexer(pd.Index(links[0]))
    rows, columns, offset = [who], [who], len(people)
    for link in links[1:]:
        codes, names = pd.factorize(link)
        rows.append(who[codes >= 0])
        columns.append(codes[codes >= 0] + offset)
        offset += len(names)
    ends = (np.concatenate(rows), np.concatenate(columns))
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(offset, offset))
    label = connected_components(graph, directed=False)[1][: len(people)]
    first = people.to_series().groupby(label).transform("first")
    return first.set_axis(people)


def _lot(unit: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{unit.removeprefix('sub-')}".encode()).hexdigest()


def _deal(sizes: Sequence[int], fractions: tuple[float, float, float]) -> list[str]:
    """Give each unit to the part that is furthest behind its share; in the end no part is empty."""
    given = np.zeros(len(fractions))
    parts = []
    for i, size in enumerate(sizes):
        behind = np.array(fractions) * (given.sum() + size) - given
        if len(sizes) - i <= (given == 0).sum():
            behind[given > 0] = -np.inf
        choice = int(np.argmax(behind.round(9)))
        given[choice] += size
        parts.append(Split._fields[choice])
    return parts


def _deal_more(units: pd.DataFrame, fractions: tuple[float, float, float], counts: pd.DataFrame) -> list[str]:
    """Give each new unit to the part that is furthest behind its share, in its stratum and in all added up.

    Args:
        units: Columns stratum and size.
        fractions: Shares of the parts.
        counts: How many people each part (column) has of a stratum (row).
    """
    shares = np.array(fractions)
    table = counts.reindex(columns=list(Split._fields), fill_value=0).astype("float64")
    given = {str(stratum): row.to_numpy(copy=True) for stratum, row in table.iterrows()}
    everybody = table.sum().to_numpy(copy=True)
    parts = []
    for stratum, size in units.itertuples(index=False):
        own = given.setdefault(str(stratum), np.zeros(len(fractions)))
        behind = shares * (everybody.sum() + own.sum() + 2 * size) - everybody - own
        choice = int(np.argmax(behind.round(9)))
        everybody[choice] += size
        own[choice] += size
        parts.append(Split._fields[choice])
    return parts
