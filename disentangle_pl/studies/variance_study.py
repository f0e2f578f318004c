"""`disentangle-pl study`: does the structure of variance of data decide how well models disentangle it?

The question is that of Rakowski and Lippert, Disentanglement and Local Directions of Variance (ECML PKDD 2021); the
measures and statistics are this package's own.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from disentangle_pl.errors import InputError
from disentangle_pl.studies.run_table import check_column, scores, tidy
from disentangle_pl.studies.variance_study_effects import effects, ranks
from disentangle_pl.studies.variance_study_measures import OF_DATA, OF_RUNS, read_measures
from disentangle_pl.studies.variance_study_plot import draw_factors, draw_means, draw_runs
from disentangle_pl.studies.variance_study_runs import arrange_runs, factor_rows
from disentangle_pl.studies.variance_study_words import counted, findings, lines, rank_sentences

MAIN = ("mig", "dci_disentanglement", "modularity_corrected")
DPI = 130


def report_study(paths: Sequence[Path], out: Path, wanted: Sequence[str], measures: Sequence[Path]) -> None:
    """Print and write how scores follow measures of variance over many models.

    Args:
        paths: Run folders, folders of them, and exports of W&B.
        out: Where `runs.tsv` (one row a run), `factors.tsv` (one a run and factor), `effects.tsv`, `ranks.tsv`,
            `findings.md` and pictures go.
        wanted: Scores, with or without `disentanglement/`.
        measures: Folders that `disentangle-pl variance` wrote, and tables; see `read_measures`.

    Raises:
        InputError: If there is no finished run with the scores, a score is not known, or measures belong to no run.
    """
    table = tidy(paths)
    columns = [name if "/" in name else f"disentanglement/{name}" for name in wanted]
    if not columns:
        raise InputError("give at least one score")
    for column in columns:
        check_column(column, scores(table), "score")
    measured = read_measures(measures)
    runs = arrange_runs(table, columns, measured)
    factors = factor_rows(table, runs, measured)
    tested, ranked = effects(runs, factors, columns), ranks(runs, columns)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in {"runs": runs, "factors": factors, "effects": tested, "ranks": ranked}.items():
        if len(content.columns):
            content.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    for name, figure in _figures(runs, factors, columns).items():
        figure.savefig(out / f"{name}.png", dpi=DPI, facecolor="white")
    text = ["# Variance and disentanglement over many models", "", f"{counted(runs, len(table))}."]
    text += [*lines("Claims", findings(tested, runs)), *lines("Rank correlations", rank_sentences(ranked))]
    (out / "findings.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    console = Console()
    console.print("\n".join(text), soft_wrap=True, markup=False, highlight=False)
    console.print(f"tables and pictures are in {out}", soft_wrap=True, highlight=False)


def _figures(runs: pd.DataFrame, factors: pd.DataFrame, columns: Sequence[str]) -> dict[str, Figure]:
    of_data, of_runs = ([name for name in names if runs[name].notna().any()] for names in (OF_DATA, OF_RUNS))
    figures = {}
    if of_data:
        figures["data_sets"] = draw_means(runs, columns, of_data)
    if of_runs:
        figures["codes"] = draw_runs(runs, columns, of_runs)
    of_factors = [name for name in OF_DATA if name in factors]
    if of_factors:
        figures["factors"] = draw_factors(factors, of_factors)
    return figures
