"""The tables of a genome-wide study: blocks put together, and what a pass over them counts."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.clumping import Clumping, clump
from disentangle_pl.genetics.control import Control, control_of, control_table, total
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import Genotypes, either_way
from disentangle_pl.genetics.multivariate import Nulls, fit_nulls, min_log10_p, most_log10_p
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.results import ARROW, PLACE, TableFile, read_part, readable, write_whole
from disentangle_pl.genetics.significance import Histogram

ASSOCIATIONS, TOGETHER, CONTROL = "associations.parquet", "together.parquet", "control.parquet"
SUGGESTIVE = 1e-5
VARIANT = list(PLACE)


class Counted(NamedTuple):
    """What a pass over all tests found.

    Attributes:
        histogram: Of all p.
        hits: Rows of the table with p up to the one asked for.
        planted: Rows of the variants asked for.
    """

    histogram: Histogram
    hits: pd.DataFrame
    planted: pd.DataFrame


def join_associations(out: Path, blocks: Sequence[int]) -> None:
    """Write the table of all fits from those of the blocks, unless it is there."""
    path = out / ASSOCIATIONS
    if path.exists() or not blocks:
        return
    parts = [out / "blocks" / f"{number}{ARROW}" for number in blocks]
    lost = [part for part in parts if not part.exists()]
    if lost:
        raise InputError(f"{out} has lost {path.name} and {lost[0].name} of its blocks: delete it, and begin anew")
    with TableFile(path, read_part(parts[0]).schema) as file:
        for part in parts:
            file.add(read_part(part))


def join_together(out: Path, blocks: Sequence[int], permuted: bool) -> Nulls | None:
    """Write the table of the tests of all phenotypes together; with permuted calls, add MOSTest's and min-P's p.

    Returns:
        The permuted nulls, None without.

    Raises:
        InputError: If too few variants were permuted.
    """
    path = out / TOGETHER
    parts = [out / "blocks" / f"{number}.together{ARROW}" for number in blocks] if not path.exists() else [path]
    if not parts or not parts[0].exists():
        return None
    nulls = None
    if permuted:
        columns = ["permuted_mostest", "permuted_min_log10_p"]
        drawn = pa.concat_tables([read_part(part, columns) for part in parts])
        nulls = fit_nulls(*(column_of(drawn, name) for name in columns))
    if path.exists():
        return nulls
    first = _with_nulls(read_part(parts[0]), nulls)
    with TableFile(path, first.schema) as file:
        for part in parts:
            file.add(_with_nulls(read_part(part), nulls))
    return nulls


def join_control(out: Path, blocks: Sequence[int]) -> tuple[list[str], Control] | None:
    """Write the counts of permuted tests, summed over the blocks; return what they are of, and them; None without."""
    path = out / CONTROL
    parts = [out / "blocks" / f"{number}.control{ARROW}" for number in blocks] if not path.exists() else [path]
    if not parts or not parts[0].exists():
        return None
    of = read_part(parts[0])["tests_of"].to_pylist()
    control = total([control_of(read_part(part)) for part in parts])
    if not path.exists():
        write_whole(control_table(control, of), path)
    return of, control


def _with_nulls(table: pa.Table, nulls: Nulls | None) -> pa.Table:
    if nulls is None:
        return table
    most = most_log10_p(column_of(table, "mostest"), nulls)
    least = min_log10_p(column_of(table, "min_p_neg_log10_p"), nulls)
    table = table.append_column("mostest_neg_log10_p", pa.array(most, from_pandas=True))
    return table.append_column("min_p_permuted_neg_log10_p", pa.array(least, from_pandas=True))


def column_of(table: pa.Table, name: str) -> Values:
    """Return a column of numbers, NaN where null."""
    values: Values = table[name].to_numpy().astype(np.float64)
    return values


def parts_of(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read a table block by block.

    Raises:
        InputError: If it is damaged.
    """
    with readable(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns)


def fits_of(out: Path, blocks: Sequence[int]) -> Iterator[pa.Table]:
    """Read the fits block by block: those of the blocks while they are there, which need not be decoded, or the table.

    Raises:
        InputError: If one is damaged.
    """
    parts = [out / "blocks" / f"{number}{ARROW}" for number in blocks]
    if parts and all(part.exists() for part in parts):
        yield from map(read_part, parts)
    else:
        yield from parts_of(out / ASSOCIATIONS)


def count(tables: Iterable[pa.Table], phenotypes: int, wanted: Sequence[str], largest: float) -> Counted:
    """Go once over all tests.

    Args:
        tables: Of all fits, see `fits_of`.
        phenotypes: K.
        wanted: Identifiers of variants whose rows are kept.
        largest: p of a hit.
    """
    histogram, hits, planted = Histogram(phenotypes), [], []
    for table in tables:
        log10_p = column_of(table, "neg_log10_p")
        histogram.add(log10_p.reshape(-1, phenotypes))
        hits.append(table.filter(pa.array(log10_p >= -np.log10(largest))))
        if len(wanted):
            mine = np.isin(table["id"].cast(pa.string()).to_numpy(zero_copy_only=False), list(wanted))
            planted.append(table.filter(pa.array(mine)))
    return Counted(histogram, _stacked(hits), _stacked(planted))


def _stacked(tables: list[pa.Table]) -> pd.DataFrame:
    frames = [table.to_pandas() for table in [table for table in tables if table.num_rows] or tables[:1]]
    plain = [table.astype({name: str for name in table.columns if table[name].dtype == "category"}) for table in frames]
    return pd.concat(plain, ignore_index=True) if plain else pd.DataFrame()


def best_of_together(path: Path, largest: float) -> pd.DataFrame:
    """Return the rows of the table of tests together with an F-test's p up to the largest."""
    kept = [each.filter(pa.array(column_of(each, "f_neg_log10_p") >= -np.log10(largest))) for each in parts_of(path)]
    return _stacked(kept)


def lead_variants(
    hits: pd.DataFrame, column: str, genotypes: Genotypes, rule: Clumping, reference: bool = False
) -> pd.DataFrame:
    """Clump variants by the best p over their rows, and describe the lead variants.

    Args:
        hits: Rows with the columns that name a variant.
        column: Of -log10 p.
        genotypes: To read their calls from.
        rule: When variants belong together.
        reference: The genotypes are of other people: variants are looked up by place and alleles, and one that is not
            there stands alone.

    Returns:
        The best row of every lead variant, its clump's number of `variants` and of `phenotypes`, the best first; one
        that the genotypes have not, or not with these alleles, stands for itself alone, and is not `clumped`.

    Raises:
        InputError: If a reference has none of the variants.
    """
    if hits.empty:
        return hits.assign(variants=[], phenotypes=[], clumped=[])
    best = hits.sort_values(column, ascending=False, kind="stable").drop_duplicates(VARIANT).reset_index(drop=True)
    where = _places(best, genotypes, reference)
    typed = np.array([row for row, place in enumerate(where) if place is not None], dtype=np.intp)
    places = [place for place in where if place is not None]

    def calls(rows: np.ndarray) -> Calls:
        return _calls_at([places[row] for row in rows], genotypes)

    lead = np.arange(len(best), dtype=np.intp)
    there = best.iloc[typed]
    lead[typed] = typed[
        clump(
            there["chromosome"].to_numpy(str),
            there["position"].to_numpy(np.int64),
            there[column].to_numpy(np.float64),
            calls,
            rule,
        )
    ]
    leads = best.iloc[np.unique(lead)].assign(variants=np.bincount(lead)[np.unique(lead)])
    leads["clumped"] = leads.index.isin(typed)
    clumps = best[VARIANT].assign(lead=lead)
    phenotypes = hits[[*VARIANT, *(["phenotype"] if "phenotype" in hits else [])]].merge(clumps, on=VARIANT)
    if "phenotype" in hits:
        leads["phenotypes"] = phenotypes.groupby("lead")["phenotype"].nunique().reindex(leads.index)
    return leads.sort_values(column, ascending=False, kind="stable").reset_index(drop=True)


def _calls_at(places: Sequence[tuple[int, int]], genotypes: Genotypes) -> Calls:
    """Read the calls (m, N) at places: each fileset once, in the order of its variants."""
    order = sorted(range(len(places)), key=places.__getitem__)
    calls: dict[int, Calls] = {}
    for fileset, group in groupby(order, key=lambda k: places[k][0]):
        rows = list(group)
        read = genotypes.pick(fileset, np.array([places[k][1] for k in rows])).calls
        calls |= dict(zip(rows, read, strict=True))
    return np.stack([calls[k] for k in range(len(places))])


def _places(best: pd.DataFrame, genotypes: Genotypes, reference: bool) -> list[tuple[int, int] | None]:
    """Find fileset and column of variants, whichever allele is counted; the first where one is there twice."""
    keys = [name for name in either_way(best.head(0)) if name != "id" or not reference]
    column = "position" if reference else "id"
    wanted = either_way(best)[keys]
    places: list[tuple[int, int] | None] = [None] * len(best)
    for i, each in reversed(list(enumerate(genotypes.filesets))):
        mine = either_way(each.variants[each.variants[column].isin(best[column])])[keys]
        mine = mine[~mine.duplicated()]
        rows = pd.MultiIndex.from_frame(mine).get_indexer(pd.MultiIndex.from_frame(wanted))
        for k in np.flatnonzero(rows >= 0):
            places[k] = i, int(mine.index[rows[k]])
    if reference and not any(places):
        raise InputError(
            f"--ld_reference has none of the {len(best)} variants with a small p, by chromosome, position and alleles: "
            "give one of the same genome build"
        )
    return places
