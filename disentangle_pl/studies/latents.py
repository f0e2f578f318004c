"""`disentangle-pl latents`: what every latent of brain models means, as tables, a picture and words."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.score import Codes
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.codes import posteriors
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.exposure import Exposure, cautions_of, exposure_to
from disentangle_pl.studies.harmonisation import (
    Batches,
    Harmonisation,
    Line,
    auc_lines,
    batches_of_data,
    sentences_of,
    without_sites,
    write_lines,
)
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
        sites: How well sites were told before and after ComBat; empty without.
        exposure: Which scans are of people that the model was trained on.
    """

    name: str
    aggregated: bool
    meanings: Meanings
    numbers: list[Number]
    remarks: list[str]
    sites: list[Line]
    exposure: Exposure


def report_latents(
    checkpoints: Sequence[Path],
    data: ImageData,
    out: Path,
    part: Part = "test",
    apart: Sequence[str] = FACTORS_APART,
    harmonisation: Harmonisation | None = None,
) -> None:
    """Describe the latents of models on held-out people, and write it.

    Writes `latents.tsv` (a row a latent), `correlations.tsv` (a row a latent and factor), `models.tsv` (a row a number
    of a model, with its controls), `groups.tsv` (a row a number of a setting, over seeds), `latents.png` and
    `findings.md`; with ComBat also `harmonisation.tsv`, how well sites are told before and after.

    Args:
        checkpoints: Of models of this package.
        data: Brain scans with factors.
        out: Folder to write to.
        part: The held-out people: test or val.
        apart: Two factors that separate latents ought to hold.
        harmonisation: Take sites out of the codes by ComBat; None, or one without a batch, for the codes as they are.

    Raises:
        InputError: If a checkpoint cannot be read or does not fit the data, or no factor is known.
    """
    names = run_names(checkpoints)
    visits = open_part(data, part)
    known = scans(data, visits)  # type: ignore[arg-type]  # open_part refuses all others
    batches = None
    if harmonisation is not None and harmonisation.batch is not None:
        scanned = cast(LongitudinalData, data)
        batches = batches_of_data(harmonisation, scanned, scanned.parts.train.index.to_numpy())
    rows = visits.index.to_numpy()
    found = [
        _describe(path, name, data, part, known, apart, batches, rows)
        for path, name in zip(checkpoints, names, strict=True)
    ]
    groups = groups_of(checkpoints, names)
    _write(found, groups, known, out, apart)
    Console().print((out / "findings.md").read_text(), soft_wrap=True, markup=False, highlight=False)
    Console().print(f"tables and pictures are in {out}", soft_wrap=True)


def _describe(
    checkpoint: Path,
    name: str,
    data: ImageData,
    part: Part,
    known: Scans,
    apart: Sequence[str],
    batches: Batches | None,
    rows: Rows,
) -> Described:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(checkpoint).to(device)
    encoded = encode_scans(model, data, part, known, f"encoding {name}")  # type: ignore[arg-type]
    lines: list[Line] = []
    about_sites: list[str] = []
    if batches is not None:
        codes, lines, about_sites = _harmonised(model, data, encoded.codes, name, batches, rows)
        encoded = encoded._replace(codes=codes)
    told = meanings(encoded, known)
    numbers, remarks = model_numbers(encoded, known, told.resampled, apart)
    seen = exposure_to(model.provenance, cast(LongitudinalData, data), name)
    return Described(name, model.aggregation is not None, told, numbers, [*about_sites, *remarks], lines, seen)


def _harmonised(
    model: VAE, data: ImageData, codes: Codes, name: str, batches: Batches, rows: Rows
) -> tuple[Codes, list[Line], list[str]]:
    """Take sites out of the codes (n, d) of some rows, as the training controls have them."""
    everybody = posteriors(model, data, cast(LongitudinalData, data).predict_dataloader(), f"encoding {name}")[1]
    done, remarks = without_sites(everybody.astype(np.float64), batches, rows)
    after = done[rows].astype(codes.dtype)
    lines = auc_lines(name, "latents", codes, after, batches, rows)
    return after, lines, [*batches.remarks, *remarks]


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
    lines = [line for each in found for line in each.sites]
    if lines:
        write_lines(lines, out)
    about_sites = sentences_of(lines) if lines else []
    remarks = list(dict.fromkeys([*about_sites, *(remark for each in found for remark in each.remarks)]))
    text = findings(
        len(set(known.people.tolist())),
        len(known.people),
        [(each.name, each.meanings.latents, numbers) for each, numbers in zip(found, rows, strict=True)],
        written["groups"],
        baseline,
        apart,
        remarks,
        cautions_of(each.exposure for each in found),
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
