"""`disentangle-pl latents`: what every latent of brain models means, as tables, a picture and words."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from rich.console import Console

from disentangle_pl.data.module import ImageData
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.held_out import Part, Scans, encode_scans, open_part, scans
from disentangle_pl.studies.latent_groups import Group, baseline_of, groups_of, summarised
from disentangle_pl.studies.latent_numbers import FACTORS_APART, Number, model_numbers
from disentangle_pl.studies.latent_plot import Panel, draw_latents
from disentangle_pl.studies.latent_table import Meanings, meanings
from disentangle_pl.studies.latent_words import findings

DIGITS = "%.6g"


class Described(NamedTuple):
    """What is known of the latents of one model.

    Attributes:
        name: Of the model.
        aggregated: Whether it shares latents within pairs.
        meanings: Of its latents.
        numbers: Of the whole model.
        remarks: What could not be computed.
    """

    name: str
    aggregated: bool
    meanings: Meanings
    numbers: list[Number]
    remarks: list[str]


def report_latents(
    checkpoints: Sequence[Path],
    data: ImageData,
    out: Path,
    part: Part = "test",
    apart: Sequence[str] = FACTORS_APART,
) -> None:
    """Describe the latents of models on held-out people, and write it.

    Writes `latents.tsv` (a row a latent), `correlations.tsv` (a row a latent and factor), `models.tsv` (a row a number
    of a model, with its controls), `groups.tsv` (a row a number of a setting, over seeds), `latents.png` and
    `findings.md`.

    Args:
        checkpoints: Of models of this package.
        data: Brain scans with factors.
        out: Folder to write to.
        part: The held-out people: test or val.
        apart: Two factors that separate latents ought to hold.

    Raises:
        InputError: If a checkpoint cannot be read or does not fit the data, or no factor is known.
    """
    names = run_names(checkpoints)
    visits = open_part(data, part)
    known = scans(data, visits)  # type: ignore[arg-type]  # open_part refuses all others
    found = [_describe(path, name, data, part, known, apart) for path, name in zip(checkpoints, names, strict=True)]
    groups = groups_of(checkpoints, names)
    _write(found, groups, known, out, apart)
    Console().print((out / "findings.md").read_text(), soft_wrap=True, markup=False, highlight=False)
    Console().print(f"tables and pictures are in {out}", soft_wrap=True)


def _describe(
    checkpoint: Path, name: str, data: ImageData, part: Part, known: Scans, apart: Sequence[str]
) -> Described:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(checkpoint).to(device)
    encoded = encode_scans(model, data, part, known, f"encoding {name}")  # type: ignore[arg-type]
    told = meanings(encoded, known)
    numbers, remarks = model_numbers(encoded, known, told.resampled, apart)
    return Described(name, model.aggregation is not None, told, numbers, remarks)


def _write(found: Sequence[Described], groups: Sequence[Group], known: Scans, out: Path, apart: Sequence[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = [pd.DataFrame(each.numbers).rename(columns={"name": "number"}) for each in found]
    tables = {
        "latents": [each.meanings.latents for each in found],
        "correlations": [each.meanings.pairs for each in found],
        "models": rows,
    }
    written = {name: _named(found, groups, parts) for name, parts in tables.items()}
    baseline = baseline_of(groups, [each.aggregated for each in found])
    written["groups"] = summarised(written["models"], baseline)
    for name, table in written.items():
        table.to_csv(out / f"{name}.tsv", sep="\t", index=False, na_rep="n/a", float_format=DIGITS)
    panels = [
        Panel(
            f"{each.name} ({group.name})" if len(found) > 1 else each.name, each.meanings.latents, each.meanings.pairs
        )
        for each, group in zip(found, groups, strict=True)
    ]
    draw_latents(panels).savefig(out / "latents.png", dpi=130)
    remarks = list(dict.fromkeys(remark for each in found for remark in each.remarks))
    text = findings(
        len(set(known.people.tolist())),
        len(known.people),
        [(each.name, each.meanings.latents, numbers) for each, numbers in zip(found, rows, strict=True)],
        written["groups"],
        baseline,
        apart,
        remarks,
    )
    (out / "findings.md").write_text(text)


def _named(found: Sequence[Described], groups: Sequence[Group], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put model, group and seed before the rows of every model, and all under one another."""
    parts = []
    for each, group, table in zip(found, groups, tables, strict=True):
        parts.append(
            pd.DataFrame({"model": each.name, "group": group.name, "seed": group.seed}, table.index).join(table)
        )
    return pd.concat(parts, ignore_index=True)
