"""`disentangle-pl sparsity`: does sparsity disentangle? Tables, pictures and plain sentences over many runs."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from disentangle_pl.errors import InputError
from disentangle_pl.studies.labels import short_score, short_value
from disentangle_pl.studies.run_groups import telling
from disentangle_pl.studies.run_table import FIXED, check_column, finished, scores, settings, tidy
from disentangle_pl.studies.sparsity_control import write_controls
from disentangle_pl.studies.sparsity_layers import by_layer, over_rotation
from disentangle_pl.studies.sparsity_plots import by_density, by_reconstruction, by_strength
from disentangle_pl.studies.sparsity_table import DENSE, MASK, RANDOM, arrange, compare, trends

MAIN = ("mig", "dci_disentanglement", "modularity", "modularity_corrected")
GUARDS = ("disentanglement/active_units", "sparsity/fan_out", "sparsity/path_overlap", "sparsity/dead_channels")
SURE = 0.05
MOST_CAUSES = 8
DPI = 130


def report_sparsity(
    paths: Sequence[Path], out: Path, wanted: Sequence[str] = MAIN, control: Path | None = None
) -> None:
    """Print and write what masks did to the scores.

    Args:
        paths: Run folders, folders of them, and exports; dense runs and random masks among them are the baselines.
        out: Where `runs.tsv`, `comparison.tsv`, `trends.tsv`, `findings.md`, `layers.tsv` and pictures go.
        wanted: Scores, with or without `disentanglement/`.
        control: Also write, in this folder, sweeps of random masks with the densities of the learned ones, layer by
            layer: one for each data set.

    Raises:
        InputError: If there is no finished run with a mask, or a score is not known.
    """
    table = tidy(paths)
    columns = [name if "/" in name else f"disentanglement/{name}" for name in wanted]
    for column in columns:
        check_column(column, scores(table), "score")
    if not columns:
        raise InputError("give at least one score")
    runs = arrange(table, columns[0])
    found, along = compare(runs, columns), trends(runs, columns)
    out.mkdir(parents=True, exist_ok=True)
    kept = [*FIXED[:-1], *_needed(table), *(name for name in map(str, table.columns) if "/" in name)]
    table[kept].to_csv(out / "runs.tsv", sep="\t", index=False)
    found.to_csv(out / "comparison.tsv", sep="\t", index=False, float_format="%.5g")
    along.to_csv(out / "trends.tsv", sep="\t", index=False, float_format="%.5g")
    guards = [name for name in GUARDS if name in runs and runs[name].notna().any()]
    figures = {"strength": by_strength(runs, columns), "density": by_density(runs, columns)}
    if "val/nll" in runs:
        figures["reconstruction"] = by_reconstruction(runs, columns)
    if guards:
        figures["structure"] = by_density(runs, guards)
    deep = over_rotation(runs)
    if len(deep):
        figures["layers"] = by_layer(deep)
        deep.to_csv(out / "layers.tsv", sep="\t", index=False, float_format="%.5g")
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=DPI, facecolor="white")
    said = [*findings(found, along), *unfinished(table, columns[0])]
    (out / "findings.md").write_text("\n".join(f"- {sentence}" for sentence in said) + "\n")
    console = Console()
    for sentence in said:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    if control is not None:
        for path in write_controls(runs, control):
            console.print(f"control: disentangle-pl sweep {path}", soft_wrap=True, highlight=False)
    console.print(f"tables and pictures are in {out}", soft_wrap=True, highlight=False)


def findings(found: pd.DataFrame, along: pd.DataFrame) -> list[str]:
    """Say in sentences what a comparison shows, nothing included.

    Args:
        found: As `compare` returns it.
        along: As `trends` returns it.
    """
    said = []
    for (data_set, score), mine in found.groupby(["data_set", "score"], sort=False):
        name = short_score(str(score))
        dense = mine[mine["kind"] == DENSE]
        masked = mine[(mine["kind"] != DENSE) & ~mine["kind"].str.startswith(RANDOM)]
        if dense.empty:
            said.append(f"{data_set}, {name}: there is no dense run to compare with.")
        elif len(masked):
            said.append(f"{data_set}, {name}: {_against_dense(dense.iloc[0], masked)} {_against_random(masked)}")
        moved = along[(along["data_set"] == data_set) & (along["score"] == score) & (along["p"] < SURE)]
        said += [
            f"{data_set}, {name}: {'falls' if row['rho'] > 0 else 'rises'} as {row['kind']} gets sparser (Spearman "
            f"{row['rho']:.2f} with the density, {row['n']} runs, corrected p {row['p']:.2g})."
            for row in moved.to_dict("records")
        ]
    return said


def unfinished(table: pd.DataFrame, metric: str) -> list[str]:
    """Say which runs of a tidy table are left out, and why: that a network is cut in two is a result too."""
    rest = table.drop(index=finished(table, metric).index)
    causes = [f"{row['state']}: {row['message'] or f'no {metric}'}" for row in rest.to_dict("records")]
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
    return f"{text}. {_count(masked, 'gain', 'the dense network')}"


def _against_random(masked: pd.DataFrame) -> str:
    known = masked[masked["over_p"].notna()]
    if known.empty:
        return "There is no random mask to compare with."
    return _count(known, "over", "random masks of the same density")


def _count(masked: pd.DataFrame, column: str, what: str) -> str:
    sure = masked[masked[f"{column}_p"] < SURE]
    above, below = int((sure[column] > 0).sum()), int((sure[column] < 0).sum())
    if not above and not below:
        return f"None of {len(masked)} settings differs from {what} beyond chance (p >= {SURE} after Holm)."
    return f"Of {len(masked)} settings, {above} are above and {below} below {what} (p < {SURE} after Holm)."


def _needed(table: pd.DataFrame) -> list[str]:
    """Return the settings that `arrange` reads when the table is read again."""
    told = telling(table, settings(table))
    always = [name for name in settings(table) if name.startswith(("model.mask", "model.placement", "data.dataset"))]
    return list(dict.fromkeys(["seed_everything", *always, *told])) if "seed_everything" in table else [*always, *told]
