"""What is known of scans beside their codes: covariates, volumes, sites; and what probes see of all these."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.truth import scan_factors
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.prediction_inputs import (
    Inputs,
    beside,
    columns,
    principal_components,
    remembered,
    without,
)
from disentangle_pl.metrics.score import Values

KNOWN = 0.8  # share of scans of which a covariate must be known, or it is left out
VOLUMES = ("ventricles", "hippocampus", "wholebrain", "entorhinal", "fusiform", "midtemp", "icv", "etiv")
ICV = ("ml_icv", "icv", "adni_icv", "etiv", "estimatedtotalintracranialvol", "eicv")
SITES = ("site", "scanner", "tesla", "field_strength", "magnetic_field_strength", "manufacturer")
LEVELS = 20


class Source(NamedTuple):
    """What a probe sees.

    Attributes:
        name: Of it.
        at: Makes inputs of some rows of the table of visits.
        digest: Says whether two sources are the same.
    """

    name: str
    at: Callable[[Rows], Inputs]
    digest: str


def fixed(name: str, values: Values) -> Source:
    """Make a source of columns (N, k); only the rows that are used must be finite."""
    return Source(name, lambda rows: columns(values[rows]), _digest(values))


def images(name: str, products: NDArray[np.floating], count: int) -> Source:
    """Make a source of principal components of images, of which (N, N) inner products are given.

    Those of the last rows asked for are kept, alone and beside covariates they are the same.
    """
    kept: dict[bytes, Inputs] = {}

    def at(rows: Rows) -> Inputs:
        key = rows.tobytes()
        if key not in kept:
            kept.clear()
            kept[key] = remembered(principal_components(products[np.ix_(rows, rows)], count))
        return kept[key]

    return Source(name, at, f"{_digest(products)} {count}")


def joined(one: Source, other: Source) -> Source:
    """Put two sources side by side."""
    return Source(
        f"{one.name}+{other.name}",
        lambda rows: beside(one.at(rows), other.at(rows)),
        f"{one.digest} {other.digest}",
    )


def residual(source: Source, confounds: Values, controls: NDArray[np.bool_]) -> Source:
    """Take confounds (N, c) from a source, as controls (N,) in training have them."""
    return Source(
        source.name,
        lambda rows: without(source.at(rows), confounds[rows], controls[rows]),
        f"{source.digest} {_digest(confounds)} {_digest(controls)}",
    )


def covariates(visits: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return age, sex, education and APOE4 as numbers, those that are known of most scans, and what was left out.

    Returns:
        (N, c) float64, NaN where unknown.
    """
    found = {"age": visits["age"], "sex": visits["sex"].map({"F": 0.0, "M": 1.0})}
    for name in ("education", "apoe4"):
        alike = [column for column in visits.columns if str(column).startswith(name[:4])]
        numbers = [column for column in alike if pd.api.types.is_numeric_dtype(visits[column])]
        found[name] = visits[numbers[0]] if numbers else pd.Series(np.nan, index=visits.index)
    table = pd.DataFrame(found).astype("float64")
    return _mostly_known(table, "covariate")


def volumes(data: LongitudinalData, names: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Return measured volumes as shares of the intracranial volume where that is among them.

    Args:
        data: Scans; their tables, and the table of truth, have the volumes.
        names: Columns; none for those whose names say that they are volumes (ml_*, *_vol, hippocampus, ...).

    Returns:
        (N, v) float64, NaN where unknown; v is 0 where there are none. What was left out.

    Raises:
        InputError: If a name is unknown.
    """
    table = data.visits.loc[:, ~data.visits.columns.isin(["age", "years"])].select_dtypes("number").astype("float64")
    if data.truth is not None:
        more = scan_factors(data.visits, data.truth)
        table = table.drop(columns=more.columns.intersection(table.columns)).join(more)
    unknown = sorted(set(names) - set(table.columns))
    if unknown:
        raise InputError(f"there is no volume {listing(unknown)}: name some of {listing(sorted(table.columns), 40)}")
    chosen = [name for name in table.columns if name in names] if names else [*filter(_is_volume, table.columns)]
    table, remarks = _mostly_known(table[chosen], "volume")
    whole = next((name for name in table.columns if name.lower() in ICV), None)
    shares = table.drop(columns=whole).div(table[whole], axis=0).join(table[whole]) if whole else table
    return shares.replace([np.inf, -np.inf], np.nan), remarks


def sites(data: LongitudinalData) -> dict[str, pd.Series]:
    """Return what may tell where and how a scan was made, as text, where it differs between scans."""
    table = data.visits
    if data.truth is not None:
        more = scan_factors(data.visits, data.truth)
        table = table.join(more[[name for name in more.columns if name not in table.columns]])
    found = {name: table[name].map(str, na_action="ignore") for name in SITES if name in table.columns}
    return {name: cells for name, cells in found.items() if 1 < cells.nunique() <= LEVELS}


def indicators(cells: pd.Series) -> Values:
    """Return one column of 0 and 1 for every value of text (N,), (N, levels)."""
    return pd.get_dummies(cells).to_numpy(np.float64)


def _is_volume(name: str) -> bool:
    low = name.lower()
    return low.startswith("ml_") or low.endswith(("_vol", "_volume")) or low in VOLUMES


def _mostly_known(table: pd.DataFrame, what: str) -> tuple[pd.DataFrame, list[str]]:
    share = table.notna().mean()
    varies = table.nunique() > 1
    remarks = [
        f"the {what} {name} is left out: it is known of {share[name]:.0%} of the scans"
        for name in table.columns
        if share[name] < KNOWN and share[name] > 0
    ]
    return table.loc[:, (share >= KNOWN) & varies], remarks


def _digest(values: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes() + str(values.shape).encode()).hexdigest()
