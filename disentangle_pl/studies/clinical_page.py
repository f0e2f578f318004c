"""The page of a study of scores: one file, no network, every value escaped."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from disentangle_pl.studies.clinical_probe import ONE
from disentangle_pl.studies.clinical_table import BASELINE, BASES, BEFORE, COVARIATES, LATENTS, PCA, RIVAL, VOLUMES
from disentangle_pl.studies.clinical_targets import TITLES
from disentangle_pl.studies.clinical_verdicts import FEWER, LESS, MAIN, MORE, Row, main_rows, means_only, verdict
from disentangle_pl.studies.clinical_words import capital, signed, who

STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:1240px;margin:1.5em auto;padding:0 1em;color:#222}
h1{font-size:1.6em;margin:.2em 0}h2{font-size:1.2em;margin:1.6em 0 .4em}li{margin:.35em 0}ul{padding-left:1.2em}
.wide{overflow-x:auto}.wide img{width:100%;min-width:680px}details{margin:1em 0}.note{color:#555;font-size:13px}
table{border-collapse:collapse;font-size:12.5px}td,th{padding:3px 6px;border-bottom:1px solid #ddd;text-align:left;
vertical-align:top}td,td.n,tr>th:first-child{white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums}td.more{font-weight:600}
td.few{color:#888}.short{background:#eef4fb;padding:.4em 1em;border-left:4px solid #1f5fa8}
.caution{background:#fff6e0;padding:.6em 1em;border-left:4px solid #e0a020}"""
RIVALS = {VOLUMES: "volumes", PCA: "components"}
SIGNS = {MORE: "▲ ", LESS: "▼ "}
LEGEND = (
    "Added to covariates, with the 95 % interval over people to fit probes to and to score: ▲ above 0, ▼ below 0, "
    "after Holm over the primary comparisons, the only ones that have a verdict; grey: too few people to tell. "
    "In brackets: how many people are ill (AD, MCI), convert, or are male. "
    "AUC of 0.5 and R² of 0 are chance; R² is against the training mean. For scores to come all is added to the "
    "score at the scan alone, which stands in the column of covariates."
)


def page(
    title: str,
    lead: str,
    table: pd.DataFrame,
    sections: Mapping[str, Sequence[str]],
    pictures: Mapping[str, Sequence[bytes]],
    tables: Mapping[str, Sequence[pd.DataFrame]],
) -> str:
    """Write the page.

    Args:
        title: Of it.
        lead: Its first sentence.
        table: Of `table_of`, settings as they are to be called.
        sections: Sentences by heading, the first of which are the headlines; the table of scores follows these.
        pictures: PNG files by the heading they belong to; those whose heading has no sentences follow the table.
        tables: Tables of text and numbers by the heading they belong to.
    """
    parts = [f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>"]
    for number, (heading, sentences) in enumerate(sections.items()):
        if sentences:
            items = "".join(f"<li>{escape(capital(sentence))}.</li>" for sentence in sentences)
            kind = ' class="short"' if not number else ""
            parts.append(f"<h2>{escape(heading)}</h2><div{kind}><ul>{items}</ul></div>")
        if not number:
            parts.append(f'<h2>Target by target</h2><div class="wide">{summary(table)}</div>')
            parts.append(f'<p class="note">{escape(LEGEND)}</p>')
        parts += [f'<div class="wide">{_plain_table(each)}</div>' for each in tables.get(heading, ())]
        for picture in pictures.get(heading, ()):
            source = b64encode(picture).decode()
            parts.append(f'<div class="wide"><img alt="{escape(heading)}" src="data:image/png;base64,{source}"></div>')
    parts.append(_numbers(table))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    head += f"<title>{escape(title)}</title><style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def summary(table: pd.DataFrame) -> str:
    """Write a row a target: covariates alone, what rivals and latents add to them, and latents against the baseline."""
    rows = means_only(main_rows(table))
    shown = _columns(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("target", "covariates", *shown, "people"))
    lines = []
    for target, mine in rows.groupby("target", sort=False):
        first = mine.iloc[0].to_dict()
        first_of = {row["inputs"]: row["value"] for row in mine[mine["versus"] == ""].to_dict("records")}
        alone = first_of.get(BEFORE, first_of.get(COVARIATES))
        ill = first["people_1"]
        people = f"{first['people']}" + (f" ({ill:.0f} yes)" if ill == ill else "")
        cells = [f"<th>{escape(TITLES.get(str(target), str(target)))}</th>"]
        cells.append("<td></td>" if alone is None else f'<td class="n">{MAIN[first["metric"]]} {alone:.2f}</td>')
        keys = _plainly(mine).set_index(["added", "setting", "versus"])
        cells += [_difference(keys, key) for key in shown.values()]
        lines.append(f"<tr>{''.join(cells)}<td>{people}</td></tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _columns(rows: pd.DataFrame) -> dict[str, tuple[str, str, str]]:
    """Return inputs, setting and what they are compared with, by the heading of a column."""
    found: dict[str, tuple[str, str, str]] = {}
    rows = _plainly(rows)
    latents = rows[rows["added"] == LATENTS]
    for setting, mine in latents.groupby("setting", sort=False):
        found[f"+ latents of {who(mine.iloc[0].to_dict())}"] = (LATENTS, str(setting), COVARIATES)
    found |= {f"+ {name}": (inputs, RIVAL, COVARIATES) for inputs, name in RIVALS.items()}
    for setting in latents.loc[latents["versus"] == BASELINE, "setting"].unique():
        found[f"{setting} less the baseline"] = (LATENTS, str(setting), BASELINE)
    there = set(rows[["added", "setting", "versus"]].itertuples(index=False, name=None))
    return {name: key for name, key in found.items() if key in there}


def _plainly(rows: pd.DataFrame) -> pd.DataFrame:
    """Call all that latents are added to covariates."""
    return rows.assign(versus=rows["versus"].where(~rows["versus"].isin(BASES), COVARIATES))


def _difference(rows: pd.DataFrame, key: tuple[str, str, str]) -> str:
    if key not in rows.index:
        return "<td></td>"
    row: Row = rows.loc[[key]].iloc[0].to_dict()
    said = verdict(row)
    kind = {MORE: " more", FEWER: " few"}.get(said, "")
    return f'<td class="n{kind}">{SIGNS.get(said, "")}{signed(row)}</td>'


def _numbers(table: pd.DataFrame) -> str:
    """Write the numbers of linear probes over all visits, and of measures, closed at first."""
    rows = table[(table["probe"] != "boosted") & (table["mode"] != ONE)]
    columns = [
        "target",
        "mode",
        "setting",
        "model",
        "inputs",
        "versus",
        "metric",
        "value",
        "low",
        "high",
        "interval",
        "p_holm",
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = ("".join(_cell(value) for value in row) for row in rows[columns].itertuples(index=False, name=None))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    words = f"{len(rows)} of the {len(table)} numbers; scores.tsv has all"
    return f'<details><summary>{words}</summary><div class="wide"><table><tr>{head}</tr>{body}</table></div></details>'


def _plain_table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in table.columns)
    lines = ("".join(_cell(value) for value in row) for row in table.itertuples(index=False, name=None))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="n">{"" if value != value else f"{value:.4g}"}</td>'
    return f"<td>{escape(str(value))}</td>"
