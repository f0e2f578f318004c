"""`disentangle-pl runs`: what many runs scored, printed best first and written as tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from rich.console import Console
from rich.table import Table

from disentangle_pl.console import print_table, wide_console
from disentangle_pl.studies.labels import short_names, short_score, short_value, wrapped
from disentangle_pl.studies.run_files import BEST, UDR
from disentangle_pl.studies.run_groups import ENDS, configured, copies, group_numbers, group_scores, meaningful, telling
from disentangle_pl.studies.run_table import best_first, check_column, finished, more_is_better, scores, tidy
from disentangle_pl.studies.selection import Selection, select, verdict
from disentangle_pl.studies.sweep_plots import plot_sweep
from disentangle_pl.studies.udr_codes import Encoder

MAIN = ("mig", "dci_disentanglement", "sap", "modularity_corrected", "factor_vae_score")
SHOWN_RUNS, SHOWN_KEYS, SHOWN_SCORES = 20, 6, 4
T = TypeVar("T")


def report_runs(
    paths: Sequence[Path],
    out: Path,
    *,
    metric: str,
    goal: str,
    by: Sequence[str] = (),
    udr: bool = False,
    plots: bool = False,
    everything: bool = False,
) -> None:
    """Print and write what runs scored: `runs.tsv`, `groups.tsv`, and on request `udr.tsv` and pictures.

    Args:
        paths: Run folders, folders of them, and exports; see `tidy`.
        out: Where the tables go.
        metric: The score to rank by.
        goal: `maximize` or `minimize`.
        by: Settings whose values make the groups; none for all settings but the seed.
        udr: Rank the configurations without ground truth too.
        plots: Draw pictures of the settings that vary.
        everything: Print all runs, settings and scores.

    Raises:
        InputError: If there is no run, or a name is not known.
    """
    table = tidy(paths, best=[metric.removeprefix(BEST)] if metric.startswith(BEST) else (), goal=goal)
    keys = meaningful(table)
    known = telling(configured(table), keys)
    check_column(metric, scores(table), "score")
    for key in by:
        check_column(key, [*known, *keys, *table.columns], "setting")
    table = best_first(table, metric, goal)
    out.mkdir(parents=True, exist_ok=True)
    repeated = copies(table)
    distinct = configured(table.drop(index=list(repeated)))
    selection = select(distinct, keys, metric, Encoder(out / "codes")) if udr else None
    if selection is not None:
        table[UDR] = selection.runs
    chosen = list(by) or keys
    groups = group_scores(configured(table), chosen)
    table.to_csv(out / "runs.tsv", sep="\t", index=False)
    groups.to_csv(out / "groups.tsv", sep="\t", index=False)
    console = wide_console()
    _show_runs(console, table, known, metric, everything)
    for copy, run in _first(list(repeated.items()), SHOWN_RUNS, everything):
        words = f"counted once: {_place(table.loc[copy])} has the settings and the seed of {_place(table.loc[run])}"
        console.print(words, soft_wrap=True, markup=False, highlight=False)
    _show_groups(
        console, groups[groups["score"] == metric], telling(configured(table), chosen), metric, goal, everything
    )
    if selection is not None:
        named = _named(selection, table, known)
        named.to_csv(out / "udr.tsv", sep="\t", index=False)
        _show_selection(console, selection, named, known, metric, goal)
    if plots:
        plot_sweep(table, known, metric, goal, out)
    console.print(f"the tables{' and pictures' if plots else ''} are in {out}", soft_wrap=True)


def _show_runs(console: Console, table: pd.DataFrame, keys: Sequence[str], metric: str, everything: bool) -> None:
    shown = _first(keys, SHOWN_KEYS, everything)
    main = [f"disentanglement/{name}" for name in MAIN]
    others = [name for name in scores(table) if (everything or name in main or name == UDR) and name != metric]
    numbers = [metric, *_first(others, SHOWN_SCORES, everything)]
    ranked = finished(table, metric)
    sheet = Table(title=f"{len(table)} runs, {len(ranked)} of them ranked by {metric}")
    sheet.add_column("run", no_wrap=True)
    sheet.add_column("state", no_wrap=True)
    for header in short_names(shown).values():
        sheet.add_column(wrapped(header, 12), overflow="fold")
    for name in numbers:
        sheet.add_column(wrapped(short_score(name), 12), justify="right")
    for row in _first(table.to_dict("records"), SHOWN_RUNS, everything):
        cells = [str(row["run"]), str(row["state"]), *(short_value(row[key]) for key in shown)]
        sheet.add_row(*cells, *(_number(row[name]) for name in numbers))
    print_table(sheet)
    _say_more(console, len(table) - SHOWN_RUNS, "runs", everything)
    _say_more(console, len(keys) - SHOWN_KEYS, "settings that vary", everything)
    rest = table.drop(index=ranked.index)
    for run, state, message in _first(rest[["run", "state", "message"]].to_numpy().tolist(), SHOWN_RUNS, everything):
        reason = message or f"has no {metric}"
        console.print(f"not ranked: {run} ({state}): {reason}", soft_wrap=True, markup=False, highlight=False)


def _place(run: Any) -> str:
    return str(run["folder"] or f"{run['run']} of an export")


def _show_groups(
    console: Console, groups: pd.DataFrame, keys: Sequence[str], metric: str, goal: str, everything: bool
) -> None:
    if len(groups) < 2 and groups["runs"].max() < 2:
        return
    shown = _first(keys, SHOWN_KEYS, everything)
    sheet = Table(title=f"{short_score(metric)}: mean and 95 % interval over the runs of a group")
    for header in short_names(shown).values():
        sheet.add_column(wrapped(header, 12), overflow="fold")
    for header in ("n", "mean", "low", "high", *ENDS):
        sheet.add_column(header, justify="right")
    ordered = groups.sort_values("mean", ascending=not more_is_better(goal), kind="stable")
    for row in _first(ordered.to_dict("records"), SHOWN_RUNS, everything):
        cells = [*(short_value(row[key]) for key in shown), str(row["n"])]
        sheet.add_row(*cells, *(_number(row[name]) for name in ("mean", "low", "high", *ENDS)))
    print_table(sheet, keys=len(shown))


def _show_selection(
    console: Console, selection: Selection, named: pd.DataFrame, keys: Sequence[str], metric: str, goal: str
) -> None:
    for reason in selection.left_out:
        console.print(f"no UDR: {reason}", soft_wrap=True, markup=False, highlight=False)
    if named.empty:
        console.print("UDR selects nothing: no configuration has two runs with a checkpoint", soft_wrap=True)
        return
    chosen = named.iloc[0]
    settings = ", ".join(f"{name}={short_value(chosen[key])}" for key, name in short_names(keys).items())
    words = f"UDR selects {settings or 'the only configuration'} (UDR {chosen['udr']:.3f}): {chosen['runs']}"
    console.print(words, soft_wrap=True, markup=False, highlight=False)
    for sentence in verdict(selection.groups, metric, goal):
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)


def _named(selection: Selection, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Put the settings and the names of the runs beside the UDR of every configuration."""
    here = configured(table)
    marked = here.assign(group=group_numbers(here, meaningful(table)))
    first = marked.groupby("group")[list(keys)].first() if keys else pd.DataFrame(index=marked["group"].unique())
    runs = marked.groupby("group")["run"].agg(", ".join).rename("runs")
    return selection.groups.join(first, on="group").join(runs, on="group").drop(columns="group")


def _first(items: Sequence[T], n: int, everything: bool) -> list[T]:
    return list(items) if everything else list(items[:n])


def _say_more(console: Console, more: int, what: str, everything: bool) -> None:
    if more > 0 and not everything:
        console.print(f"{more} more {what}: see runs.tsv, or give --all=true", soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
