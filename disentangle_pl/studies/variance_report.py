"""The files of a study of variance: tables, pictures and words."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.module import ImageData
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.codes import check_fits, load_codes
from disentangle_pl.studies.two_gaussians import angle_table, draw_two_gaussians
from disentangle_pl.studies.variance import Study, study_variance, with_codes
from disentangle_pl.studies.variance_factors import Plan
from disentangle_pl.studies.variance_model import table_codes
from disentangle_pl.studies.variance_words import findings

CAUTION = (
    "The measures are this package's own definitions. Intervals are 95 % bootstraps over anchors; numbers without one "
    "are exact for this grid, unless they compare sampled ones. Alignment is arbitrary between components of equal "
    "variance."
)


def factor_grid(data: ImageData) -> FactorDataset:
    """Return the data set with an image for every combination of factors.

    Raises:
        InputError: If there is none.
    """
    if not isinstance(data, SyntheticData):
        raise InputError(
            f"variance needs an image for every combination of factors, and {type(data).__name__} has no such grid: "
            "give --data with a data set of known factors"
        )
    return data.dataset


def report_variance(
    data: ImageData | None,
    out: Path,
    *,
    model: VAE | None = None,
    codes: Path | None = None,
    plan: Plan | None = None,
    exact: bool | None = None,
    gaussians: bool = False,
) -> None:
    """Write `variance.tsv`, further tables, pictures and `findings.md`, and print the findings.

    Args:
        data: With a data set of known factors; None for codes or the two Gaussians alone.
        out: Folder to write to.
        model: Of the same shape.
        codes: An .npz with codes of every combination of factors, as for `evaluate`; instead of data.
        plan: How much is looked at where the grid is sampled.
        exact: As for `study_variance`.
        gaussians: Also draw two Gaussians and their principal components, with a table of angles.

    Raises:
        InputError: As `study_variance` and `table_codes`; or if out is a file, the model has another shape, or the
            codes never vary.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder for the results with --out")
    study = Study([], {}, {}, [])
    if data is not None:
        dataset = factor_grid(data)
        if model is not None:
            check_fits(model, data)
        study = study_variance(dataset, model, plan or Plan(), exact)
    if codes is not None:
        study = with_codes(study, table_codes(load_codes(codes)), plan or Plan())
        if not study.lines:
            raise InputError(f"no column of the codes in {codes} varies: there is nothing that could encode a factor")
    if gaussians:
        angles = angle_table()
        study.tables["two_gaussians"] = pd.DataFrame(angles)
        study.pictures["two_gaussians"] = draw_two_gaussians(angles)
    _write(study, out)


def _write(study: Study, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tables = dict(study.tables)
    if study.lines:
        tables["variance"] = pd.DataFrame(study.lines)
    for name, table in tables.items():
        table.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    for name, figure in study.pictures.items():
        figure.savefig(out / f"{name}.png", dpi=120)
    written = [*(f"{name}.tsv" for name in tables), *(f"{name}.png" for name in study.pictures)]
    text = ["# Directions of variance", ""]
    if study.lines:
        text += [CAUTION, ""]
        for title, sentences in findings(study.lines).items():
            if sentences:
                text += [f"## {title}", "", *(f"- {sentence}." for sentence in sentences), ""]
        text += [f"- {remark}" for remark in study.remarks]
        (out / "findings.md").write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
        written.append("findings.md")
    console = Console()
    console.print("\n".join(text), soft_wrap=True, markup=False, highlight=False)
    console.print(f"written: {', '.join(sorted(written))} in {out}", soft_wrap=True)
