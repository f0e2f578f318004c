"""What a sparsity study found, in sentences."""

import math
from collections import Counter
from typing import Any

import pandas as pd

from disentangle_pl.studies.labels import short_score, short_value
from disentangle_pl.studies.run_table import finished
from disentangle_pl.studies.sparsity_table import DENSE, MASK, is_learned

SURE = 0.05
MOST_CAUSES = 8
WHAT = {"gain": "the dense network", "over": "random masks of the same density"}


def findings(found: pd.DataFrame, together: pd.DataFrame, along: pd.DataFrame) -> list[str]:
    """Say in sentences what a comparison shows, nothing included.

    Args:
        found: As `compare` returns it.
        together: As `pooled` returns it.
        along: As `trends` returns it.
    """
    said = []
    for (data_set, score), mine in found.groupby(["data_set", "score"], sort=False):
        name = short_score(str(score))
        dense = mine[mine["kind"] == DENSE]
        masked = mine[mine["kind"].map(is_learned)]
        if dense.empty:
            said.append(f"{data_set}, {name}: there is no dense run to compare with.")
        elif len(masked):
            said.append(f"{data_set}, {name}: {_against_dense(dense.iloc[0], masked)} {_against_random(masked)}")
        pools, moved = (rows[(rows["data_set"] == data_set) & (rows["score"] == score)] for rows in (together, along))
        said += [f"{data_set}, {name}: {sentence}" for row in pools.to_dict("records") for sentence in _pool(row)]
        said += [
            f"{data_set}, {name}: {'falls' if row['rho'] > 0 else 'rises'} as {row['kind']} gets sparser (Spearman "
            f"{row['rho']:.2f} with the density, {row['n']} runs, corrected p {row['p']:.2g})."
            for row in moved.to_dict("records")
            if row["p"] < SURE
        ]
    return said


def unfinished(table: pd.DataFrame, metric: str) -> list[str]:
    """Say which runs of a tidy table are left out, and why: that a network is cut in two is a result too."""
    rest = table.drop(index=finished(table, metric).index)
    said = [str(message or f"no {metric}").partition(";")[0] for message in rest["message"]]  # without the advice
    causes = [f"{state}: {why}" for state, why in zip(rest["state"], said, strict=True)]
    masks = [short_value(value) for value in rest[MASK]] if MASK in rest else [DENSE] * len(rest)
    shares = [f" ({value:g})" if isinstance(value, float) else "" for value in rest.get(f"{MASK}.density", causes)]
    counts = Counter(
        f"{DENSE if kind == 'null' else kind}{share}, {cause}"
        for kind, share, cause in zip(masks, shares, causes, strict=True)
    )
    return [f"Left out: {times} of {len(table)} runs, {what}." for what, times in counts.most_common(MOST_CAUSES)]


def _against_dense(dense: pd.Series, masked: pd.DataFrame) -> str:
    best = masked.iloc[int(masked["mean"].to_numpy(float).argmax())]
    text = f"dense {dense['mean']:.3f} (n = {dense['n']}); best mean {best['mean']:.3f} by {best['kind']} "
    text += f"({best['setting'] or 'its only setting'}) at density {best['density']:.2g}"
    if math.isfinite(best["gain_low"]):
        text += f", difference {best['gain']:+.3f} [{best['gain_low']:+.3f}, {best['gain_high']:+.3f}]"
    return f"{text}. {_count(masked, 'gain', WHAT['gain'])}"


def _against_random(masked: pd.DataFrame) -> str:
    known = masked[masked["over_p"].notna()]
    if known.empty:
        return "There is no random mask to compare with."
    return _count(known, "over", WHAT["over"])


def _pool(row: dict[Any, Any]) -> list[str]:
    """Say on which side of the dense network and of random masks a kind is over all its settings, if on any."""
    return [
        f"{row['kind']} over all its settings is {row[f'{column}']:+.3f} [{row[f'{column}_low']:+.3f}, "
        f"{row[f'{column}_high']:+.3f}] from {what} ({row['seeds']} seeds, p {row[f'{column}_p']:.2g} after Holm)."
        for column, what in WHAT.items()
        if row[f"{column}_p"] < SURE
    ]


def _count(masked: pd.DataFrame, column: str, what: str) -> str:
    sure = masked[masked[f"{column}_p"] < SURE]
    above, below = int((sure[column] > 0).sum()), int((sure[column] < 0).sum())
    if not above and not below:
        return f"None of {len(masked)} settings differs from {what} beyond chance (p >= {SURE} after Holm)."
    return f"Of {len(masked)} settings, {above} are above and {below} below {what} (p < {SURE} after Holm)."
