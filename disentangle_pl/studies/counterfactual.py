"""`disentangle-pl counterfactual`: a scan with other latents or years later, and how far to trust such answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from rich.table import Table
from torch import Tensor

from disentangle_pl.brain.export import write_volume
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.console import print_table, wide_console
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.ageing import MixedSlopes
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.counterfactual_plot import draw_counterfactual
from disentangle_pl.studies.exposure import print_cautions
from disentangle_pl.studies.interventions import aged, aged_again, reach_of, swapped, transport, with_values
from disentangle_pl.studies.scan_codes import ScanCodes, encode_scans, group_slopes, images_of
from disentangle_pl.studies.scene import scene_of

WARNING = (
    "An association that the model has learned from these scans, not what would happen to a person: no cause is "
    "identified, and nothing here is for clinical use."
)
TRAINED_ON = (
    "The model was trained on scans of {}: it may know this very brain, and do better here than with anybody new."
)
OFTEN_WORDS = "of which 99 % lie within"
BAND = torch.tensor([0.025, 0.975])
DRAWS = 100  # of the people behind a band


@dataclass(frozen=True)
class Question:
    """What to change in the latents of one scan; exactly one of years, values and swap.

    Args:
        subject: Whose scan, with or without the sub- of BIDS.
        session: Which of the scans; None takes the first.
        years: Make the scan so many years older, by the slopes of the group.
        values: Latents to set.
        swap: Another subject, to take latents from (the first scan).
        latents: Which latents to take.

    Raises:
        InputError: If it asks for nothing, or for several things.
    """

    subject: str
    session: str | None = None
    years: float | None = None
    values: dict[int, float] = field(default_factory=dict)
    swap: str | None = None
    latents: Sequence[int] = ()

    def __post_init__(self) -> None:
        asked = [self.years is not None, bool(self.values), self.swap is not None]
        if sum(asked) != 1:
            raise InputError("ask for one of --years N, --set LATENT=VALUE and --swap SUBJECT with --latents")
        if bool(self.latents) != (self.swap is not None):
            raise InputError("--swap SUBJECT and --latents go together: which latents are to be taken?")

    @property
    def name(self) -> str:
        """A name for files."""
        if self.years is not None:
            return f"years{self.years:+g}"
        if self.values:
            return "_".join(f"z{latent}={value:g}" for latent, value in self.values.items())
        return f"swap_{self.swap}_" + "_".join(f"z{latent}" for latent in self.latents)


class Answer(NamedTuple):
    """Codes (d,) before and after, and for years the slopes, the codes (R, d) by those of other draws, and whose."""

    row: int
    before: Tensor
    after: Tensor
    slopes: MixedSlopes | None = None
    again: Tensor | None = None
    whose: str = ""


def ask(
    model: VAE, data: LongitudinalData, question: Question, out: Path, *, group: str = "CN", level: float = 0.05
) -> pd.DataFrame:
    """Answer a question about one scan, and write pictures, volumes and a table.

    Args:
        model: The model.
        data: Its scans.
        question: What to change.
        out: Folder of the results.
        group: Diagnosis of the training scans whose ageing is used; everybody where nobody has it.
        level: False discovery rate up to which a latent ages.

    Returns:
        A row a latent: latent, before, after, and for years low, high, per_year, error and q.

    Raises:
        InputError: If the subject, the session or a latent is unknown, or slopes cannot be fitted.
    """
    scans = encode_scans(model, data)
    answer = _answer(scans, question, group, level)
    visit = scans.visits.loc[answer.row]
    folder = out / f"{visit['participant_id']}_{visit['session_id']}_{question.name}"
    folder.mkdir(parents=True, exist_ok=True)
    volumes = _volumes(model, images_of(data, np.array([answer.row]), model.device), answer)
    scene = scene_of(data)
    assert scene.grid is not None, "brain scans have a grid"
    for name, volume in volumes.items():
        write_volume(folder / f"{name}.nii.gz", volume.numpy(), scene.grid.affine)
    table = _latents(answer)
    table.to_csv(folder / "latents.tsv", sep="\t", index=False)
    reach = reach_of(scans.mean[scans.train].double().numpy())
    distance = float(reach.distance(answer.after[None].double().numpy())[0])
    about: dict[str, Any] = {
        "subject": visit["participant_id"],
        "session": visit["session_id"],
        "question": question.name,
        "distance": distance,
        "limit": reach.limit,
        "extrapolates": distance > reach.limit,
        "trained_on": _trained_on(scans, question),
        "cautions": list(scans.exposure.cautions),
        "ageing_of": answer.whose,
        "note": WARNING,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    title = f"{about['subject']} {about['session']}: {question.name}"
    draw_counterfactual(volumes, scene.cuts, title).savefig(folder / "counterfactual.png", dpi=110)
    _say(table, about, folder)
    return table


def _trained_on(scans: ScanCodes, question: Question) -> list[str]:
    """Name those of the people in question whose scans the model was trained on, as far as its checkpoint tells."""
    trained = set(scans.visits.loc[scans.exposure.seen, "participant_id"])
    subjects = (question.subject, *([question.swap] if question.swap else []))
    people = scans.visits.loc[[_find(scans, subject, None) for subject in subjects], "participant_id"]
    return [name for name in people if name in trained]


def _answer(scans: ScanCodes, question: Question, group: str, level: float) -> Answer:
    row = _find(scans, question.subject, question.session)
    before = scans.mean[row]
    if question.years is not None:
        slopes, whose = group_slopes(scans, group)
        again = aged_again(before, slopes, question.years, DRAWS, level)
        return Answer(row, before, aged(before, slopes, question.years, level), slopes, again, whose)
    if question.swap is not None:
        other = scans.mean[_find(scans, question.swap, None)]
        return Answer(row, before, swapped(before, other, list(question.latents)))
    return Answer(row, before, with_values(before, question.values))


def _volumes(model: VAE, image: Tensor, answer: Answer) -> dict[str, Tensor]:
    """Return volumes (D, H, W) by name: the scan, the counterfactual, their difference and the ends of its band."""
    before = answer.before[None].to(image)

    def changed(codes: Tensor) -> Tensor:
        return transport(model, image, before, codes[None].to(image))[0, 0].cpu()

    scan, after = image[0, 0].cpu(), changed(answer.after)
    found = {"scan": scan, "counterfactual": after, "difference": after - scan}
    if answer.again is not None:
        drawn = torch.stack([changed(codes) - scan for codes in answer.again])
        found |= dict(zip(("difference_low", "difference_high"), drawn.quantile(BAND, dim=0), strict=True))
    return found


def _find(scans: ScanCodes, subject: str, session: str | None) -> int:
    """Return the row of a scan."""
    visits = scans.visits
    name = subject.removeprefix("sub-")
    mine = visits[visits["participant_id"].str.removeprefix("sub-") == name]
    if mine.empty:
        known = visits["participant_id"].unique().tolist()
        raise InputError(f"there is no subject {subject} in these scans: there are {listing(known, 5)}")
    if session is None:
        return int(mine.sort_values("years", kind="stable").index[0])
    fitting = mine[mine["session_id"].str.removeprefix("ses-") == session.removeprefix("ses-")]
    if fitting.empty:
        raise InputError(f"{subject} has no session {session}: there are {listing(mine['session_id'].tolist())}")
    return int(fitting.index[0])


def _latents(answer: Answer) -> pd.DataFrame:
    columns = {"before": answer.before.tolist(), "after": answer.after.tolist()}
    table = pd.DataFrame({"latent": range(len(answer.before)), **columns})
    if answer.slopes is None or answer.again is None:
        return table
    low, high = answer.again.quantile(BAND.to(answer.again), dim=0).tolist()
    slopes = answer.slopes
    return table.assign(low=low, high=high, per_year=slopes.per_year, error=slopes.standard_errors, q=slopes.q)


def _say(table: pd.DataFrame, about: dict[str, Any], folder: Path) -> None:
    console = wide_console()
    moved = table[table["before"] != table["after"]]
    shown = Table(*moved.columns, title=f"{about['subject']} {about['session']}: {about['question']}")
    for row in moved.itertuples(index=False):
        shown.add_row(*(f"{value:.3g}" for value in row))
    if len(moved):
        print_table(shown)
    else:
        console.print("no latent moves: none changes with age beyond chance")
    where = f"{about['distance']:.2f} standard deviations from the training codes, {OFTEN_WORDS} {about['limit']:.2f}"
    console.print(("BEYOND what the model has seen: " if about["extrapolates"] else "") + where, soft_wrap=True)
    if about["ageing_of"]:
        console.print(f"ageing of {about['ageing_of']}", soft_wrap=True, highlight=False)
    if names := about["trained_on"]:
        console.print(TRAINED_ON.format(", ".join(names)), soft_wrap=True, highlight=False)
    print_cautions(about["cautions"])
    console.print(f"written: {folder}", soft_wrap=True, highlight=False)
    console.print(WARNING, soft_wrap=True)
