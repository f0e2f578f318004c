"""How far counterfactual ageing can be trusted: the rules it must keep, and the follow-ups of people it never saw."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.console import print_table, wide_console
from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.counterfactual import WARNING
from disentangle_pl.studies.exposure import print_cautions
from disentangle_pl.studies.follow_ups import Images, Volumes, against_no_change, follow_ups, mean_change, predict
from disentangle_pl.studies.scan_codes import ScanCodes, encode_scans, group_slopes, images_of
from disentangle_pl.studies.soundness import soundness
from disentangle_pl.studies.volume_reader import fit_reader

MOST_CHECKED = 64
PER_DECADE = 10.0


def check(
    model: VAE, data: LongitudinalData, out: Path, *, group: str = "CN", level: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """Say how far ageing by this model can be trusted: soundness, and follow-ups of people it has never seen.

    Args:
        model: The model.
        data: Its scans.
        out: Folder of the results.
        group: Diagnosis of the training scans whose ageing is used; everybody where nobody has it.
        level: False discovery rate up to which a latent ages.
        seed: Of the resampling.

    Returns:
        The table of `against_no_change`.

    Raises:
        InputError: If slopes cannot be fitted, or no person, trained on or held out, has two scans.
    """
    scans = encode_scans(model, data)
    slopes, whose = group_slopes(scans, group, seed)
    seen, unseen = (follow_ups(scans.visits, rows) for rows in (scans.train, scans.held_out))
    if not len(seen.years) or not len(unseen.years):
        raise InputError("a check needs people with two scans at known times, both trained on and held out")

    def images(rows: NDArray[np.int64]) -> Tensor:
        return images_of(data, rows, model.device)

    volumes = _volumes(data, scans, images)
    found = predict(model, images, scans.mean, unseen, slopes, mean_change(seen, images), volumes)
    people = scans.people(unseen.first)
    table = against_no_change(found, people, seed=seed)
    first = unseen.first[np.unique(people, return_index=True)[1]][:MOST_CHECKED]
    moves = torch.from_numpy(np.where(slopes.q < level, slopes.per_year, 0.0)).float() * PER_DECADE
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "follow_ups.tsv", sep="\t", index=False)
    table.to_csv(out / "follow_ups_summary.tsv", sep="\t", index=False)
    console = wide_console()
    print_cautions(scans.exposure.cautions)
    moving = f"{int((slopes.q < level).sum())} of {len(slopes.q)} latents move (FDR {level:g})"
    console.print(f"ageing of {whose}: {moving}", soft_wrap=True)
    if moves.any() and len(first) > 1:
        found_sound = soundness(model, images(first), moves.to(model.device))
        (out / "soundness.json").write_text(json.dumps(found_sound._asdict(), indent=1) + "\n")
        for name, value in found_sound._asdict().items():
            console.print(f"  {name:15} {value:.4g}")
    print_table(_summary(table, len(unseen.years), len(np.unique(people))), keys=2)
    console.print(WARNING, soft_wrap=True)
    return table


def _volumes(data: LongitudinalData, scans: ScanCodes, images: Images) -> Volumes | None:
    """Fit a reader of the factors that were asked for; None where there are none, or none can be read."""
    if not data.scores_quantities:
        return None
    true, names = data.factors.double().numpy(), data.factor_names
    people = scans.people(np.arange(len(scans.visits)))
    reader = fit_reader(images, true, names, scans.train, scans.held_out, people)
    told = ", ".join(f"{name} (R2 {r2:.2f})" for name, r2 in zip(reader.names, reader.r2, strict=True))
    Console().print(f"read off the images by a regression of its own: {told or 'nothing'}", soft_wrap=True)
    kept = [names.index(name) for name in reader.names]
    return Volumes(reader.names, true[:, kept], reader.read) if kept else None


def _summary(table: pd.DataFrame, pairs: int, people: int) -> Table:
    shown = Table(title=f"later scans predicted from the first, {pairs} pairs of {people} held-out people")
    for name in ("way", "measure", "mean", "less no change", "95 % interval"):
        shown.add_column(name)
    for row in table.itertuples(index=False):
        interval = f"[{row.low:+.5f}, {row.high:+.5f}]" if people > 1 else "of one person none"
        shown.add_row(str(row.way), str(row.measure), f"{row.mean:.5f}", f"{row.difference:+.5f}", interval)
    return shown
