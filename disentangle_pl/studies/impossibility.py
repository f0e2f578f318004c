"""`disentangle-pl impossibility`: why no score of images alone can tell disentangled latents from rotated ones."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from rich.console import Console

from disentangle_pl.callbacks import score_table
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.sheet import ALL, QUICK, Entry
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.angle_sweep import angle_sweep, sight
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.impossibility_page import page, sentences
from disentangle_pl.studies.impossibility_plot import draw_impossibility
from disentangle_pl.studies.impossibility_tables import gap_table, model_table, numbers, prior_table
from disentangle_pl.studies.rotated_model import Subject, linear_subject, trained_subject

TOLERANCE = 1e-4  # nats
DPI = 130
NO_LABELS = (
    "no factor of these images is known or varies, so no score is shown but `axes kept`, the correlation of the "
    "rotated latents with those before"
)


def report_impossibility(
    checkpoint: Path | None,
    data: ImageData | None,
    out: Path,
    *,
    rows: int = 3000,
    images: int = 300,
    rotations: int = 3,
    quick: bool = False,
    seed: int = 0,
) -> None:
    """Run the four demonstrations, print what they show, and write tables, the picture and `impossibility.html`.

    Args:
        checkpoint: A model of this package; None takes the best linear VAE of images made up, in closed form.
        data: The images of the model; needed with a checkpoint.
        out: Folder to write to.
        rows: Images whose codes are scored.
        images: How many of them are decoded for the ELBO.
        rotations: Random rotations of the model.
        quick: Only the scores that take a second.
        seed: Of draws and rotations.

    Raises:
        InputError: If a size is too small, the model does not fit the data or uses fewer than two latents, or its ELBO
            changes by more than 1e-4 nats, which float64 does not explain.
    """
    if min(rows - 5, images, rotations) < 1:
        raise InputError(f"impossibility needs rows >= 6, images and rotations >= 1, got {rows}, {images}, {rotations}")
    entries: Mapping[str, Entry] = QUICK if quick else ALL
    subject = _subject(checkpoint, data, rows, images, seed)
    prior = prior_table(seed=seed)
    model = model_table(subject, entries, rotations=rotations, seed=seed, watch=score_table.bar)
    change = numbers(model, "largest_change")["elbo"]
    if not change < TOLERANCE:
        raise InputError(
            f"the ELBO of {subject.name} moves by {change:.2g} nats under a rotation, more than rounding: give a model "
            "whose decoder draws nothing"
        )
    gaps = gap_table(subject, seed=seed)
    sweep = angle_sweep(subject, entries, watch=score_table.bar)
    seen = sight(subject, entries, watch=score_table.bar)
    tables = {"prior": prior, "model": model, "diagonal_gap": gaps, "seen": seen}
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    angles = sweep.scores.assign(diagonal_gap=sweep.gap)
    angles.insert(0, "degrees", sweep.angles)
    angles.to_csv(out / "angles.tsv", sep="\t", index=False, float_format="%.6g")
    file = BytesIO()
    draw_impossibility(model, gaps, sweep, subject.name).savefig(file, format="png", dpi=DPI, facecolor="white")
    (out / "impossibility.png").write_bytes(file.getvalue())
    said = sentences(prior, model, gaps, seen, subject.name)
    (out / "impossibility.html").write_text(page(said, list(tables.values()), file.getvalue()), encoding="utf-8")
    console = Console()
    for sentence in said if subject.factors else [*said, f"Note: {NO_LABELS}."]:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    console.print(f"written: {out / 'impossibility.html'}, and the tables beside it", soft_wrap=True, highlight=False)


def _subject(checkpoint: Path | None, data: ImageData | None, rows: int, images: int, seed: int) -> Subject:
    if checkpoint is None:
        return linear_subject(rows, min(images, rows), seed=seed)
    if data is None:
        raise InputError("the run of the checkpoint has no config.yaml beside it: give --data or --config")
    return trained_subject(load_model(checkpoint), data, run_names([checkpoint])[0], rows=rows, shown=images)
