"""`disentangle-pl sparsity`: does sparsity disentangle? Tables, pictures and plain sentences over many runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from disentangle_pl.errors import InputError
from disentangle_pl.studies.run_groups import telling
from disentangle_pl.studies.run_table import FIXED, check_column, scores, settings, tidy
from disentangle_pl.studies.sparsity_compare import compare, pooled, trends
from disentangle_pl.studies.sparsity_control import write_controls
from disentangle_pl.studies.sparsity_layers import by_layer, over_rotation
from disentangle_pl.studies.sparsity_plots import by_density, by_reconstruction, by_strength
from disentangle_pl.studies.sparsity_table import arrange
from disentangle_pl.studies.sparsity_words import findings, unfinished

MAIN = ("mig", "dci_disentanglement", "modularity", "modularity_corrected")
GUARDS = ("disentanglement/active_units", "sparsity/fan_out", "sparsity/path_overlap", "sparsity/dead_channels")
DPI = 130


def report_sparsity(
    paths: Sequence[Path], out: Path, wanted: Sequence[str] = MAIN, control: Path | None = None
) -> None:
    """Print and write what masks did to the scores.

    Args:
        paths: Run folders, folders of them, and exports; dense runs and random masks among them are the baselines.
        out: Where `runs.tsv`, the tables of `sparsity_compare`, `findings.md`, `layers.tsv` and pictures go.
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
    tables = {"comparison": compare(runs, columns), "pooled": pooled(runs, columns), "trends": trends(runs, columns)}
    out.mkdir(parents=True, exist_ok=True)
    kept = [*FIXED[:-1], *_needed(table), *(name for name in map(str, table.columns) if "/" in name)]
    table[kept].to_csv(out / "runs.tsv", sep="\t", index=False)
    figures = _figures(runs, columns)
    deep = over_rotation(runs)
    if len(deep):
        figures["layers"], tables["layers"] = by_layer(deep), deep
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=DPI, facecolor="white")
    for name, content in tables.items():
        content.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.5g")
    said = [*findings(*(tables[name] for name in ("comparison", "pooled", "trends"))), *unfinished(table, columns[0])]
    (out / "findings.md").write_text("\n".join(f"- {sentence}" for sentence in said) + "\n")
    console = Console()
    for sentence in said:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    if control is not None:
        for path in write_controls(runs, control):
            console.print(f"control: disentangle-pl sweep {path}", soft_wrap=True, highlight=False)
    console.print(f"tables and pictures are in {out}", soft_wrap=True, highlight=False)


def _figures(runs: pd.DataFrame, columns: Sequence[str]) -> dict[str, Figure]:
    guards = [name for name in GUARDS if name in runs and runs[name].notna().any()]
    figures = {"strength": by_strength(runs, columns), "density": by_density(runs, columns)}
    if "val/nll" in runs:
        figures["reconstruction"] = by_reconstruction(runs, columns)
    if guards:
        figures["structure"] = by_density(runs, guards)
    return figures


def _needed(table: pd.DataFrame) -> list[str]:
    """Return the settings that `arrange` reads when the table is read again."""
    told = telling(table, settings(table))
    always = [name for name in settings(table) if name.startswith(("model.mask", "model.placement", "data.dataset"))]
    return list(dict.fromkeys(["seed_everything", *always, *told])) if "seed_everything" in table else [*always, *told]
