"""What latents say of dementia and of the genome, on many more people than the models were trained on.

    python -m benchmarks.downstream_study [--brain runs/brain] [--subjects 1500] [--results benchmarks/results]

Takes the models of `make brain`, enlarges its cohort, and prepares the first scans and rescans of everybody, and all
scans of the first people. Then it relates the latents of every model, and the true volumes, to all variants, and
predicts dementia scores from them, in people that no model has seen. Each step is a command of `disentangle-pl`,
printed before it runs; the same call goes on after a kill.
"""

import argparse
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pandas as pd

from benchmarks.brain_study import METHODS, call, finished
from benchmarks.downstream_tables import calibration, draw_found, found_by_factor, summed_up
from disentangle_pl.brain.split_file import read_split, write_split
from disentangle_pl.brain.tables import read_table

FIRST = "ses-M000"
VOLUMES = ("ratio_ventricles", "ratio_cortex", "ratio_hippocampus", "ratio_white_matter", "ml_icv")
TRUTH = "true volumes"
TITLES = dict(zip(METHODS, ("beta-VAE, single scans", "pairs, not shared", "Ada-GVAE"), strict=True))
KEPT = ("findings.md", "summary.json", "leads.tsv", "planted.tsv", "planted_by_factor.tsv", "phenotypes.tsv")
RESIDUAL = "clinic_without_site"
DRAWN = ("manhattan.png", "qq.png", "miami.png")


def bare(names: pd.Series) -> pd.Series:
    """Take the sub- off names of people."""
    return names.astype(str).str.removeprefix("sub-")


def make_data(folder: Path, brain: Path, subjects: int, followed: int) -> None:
    """Enlarge the cohort of `make brain`, choose scans, keep its split and add others for test, and prepare."""
    cohort, table, split = folder / "cohort", folder / "scans.tsv", folder / "split.tsv"
    visits = ("--visits", 0, 12, 24, "--rescans", 0.2)
    call("simulate", "--subjects", subjects, *visits, "--out", cohort, "--jobs", -1)
    if not table.exists():
        call("scans", cohort, "--rescans", "--out", folder / "all.tsv")
        scans = pd.read_csv(folder / "all.tsv", sep="\t", dtype=str, keep_default_na=False)
        people = pd.read_csv(cohort / "participants.tsv", sep="\t", dtype=str)["participant_id"]
        part = read_split(brain / "split.tsv").reindex(bare(people)).fillna("test")
        write_split(split, part.set_axis(people), "that of the models, and everybody else for test")
        first = scans["session_id"].str.startswith(FIRST) | scans["participant_id"].isin(people[:followed])
        scans[first].to_csv(table, sep="\t", index=False)
    geometry = ("--size", 32, 32, 32, "--spacing", 6, "--window", 0, 1000, "--align", 12)
    call("prepare", table, "--out", folder / "prepared", *geometry, "--jobs", -1)


def write_people(folder: Path) -> None:
    """Write covariates, and true volumes of the people that no model was trained on, at their first scan."""
    truth = read_table(folder / "cohort" / "truth.tsv").drop_duplicates("participant_id")
    truth.insert(0, "IID", bare(truth["participant_id"]))
    part = read_split(folder / "split.tsv").reindex(truth["IID"]).to_numpy()
    truth = truth[["IID", "age", "male", "site", *VOLUMES]].astype(dict.fromkeys(["age", *VOLUMES], float))
    age = truth["age"] - truth["age"].mean()
    covariates = truth[["IID", "male"]].assign(age=age, age2=age**2, site="site " + truth["site"].astype(str))
    covariates.to_csv(folder / "covariates.tsv", sep="\t", index=False)
    truth.loc[part != "train", ["IID", *VOLUMES]].to_csv(folder / "volumes.tsv", sep="\t", index=False)


def scan_genome(folder: Path, runs: pd.DataFrame) -> dict[str, list[Path]]:
    """Scan the genome for the latents of every model and for the true volumes; return the studies by method."""
    common = ("--bed", folder / "cohort" / "genotypes" / "cohort.bed", "--covariates", folder / "covariates.tsv")
    ceiling = folder / "gwas" / "true_volumes"
    call("gwas", *common, "--phenotypes", folder / "volumes.tsv", "--out", ceiling)
    studies = {TRUTH: [ceiling]}
    for run in runs.itertuples():
        out = folder / "gwas" / str(run.name)
        model = ("--checkpoint", run.checkpoint, *data(folder), "--against", ceiling)
        call("gwas", *common, *model, "--out", out)
        studies.setdefault(TITLES[str(run.method)], []).append(out)
    return studies


def sum_up(folder: Path, studies: dict[str, list[Path]]) -> None:
    """Write, draw and print what was found of all that was planted, and lambda where nothing can be."""
    found = found_by_factor(studies, folder / "cohort" / "truth_snps.tsv")
    tables = {"found": found, "found_by_method": summed_up(found), "permuted": calibration(studies)}
    for name, table in tables.items():
        table.to_csv(folder / "gwas" / f"{name}.tsv", sep="\t", index=False, float_format="%.6g", na_rep="n/a")
    draw_found(found).savefig(folder / "gwas" / "found.png", dpi=120)
    print(tables["found_by_method"].round(2).to_string(index=False))
    print(tables["permuted"].round(3).to_string(index=False))


def data(folder: Path) -> tuple[str, ...]:
    """Say which scans are to be encoded."""
    files = {"root": "prepared", "split_file": "split.tsv", "truth": "cohort/truth.tsv"}
    return tuple(f"--data.{key}={folder / name}" for key, name in files.items())


def predict(folder: Path, runs: pd.DataFrame) -> None:
    """Predict scores from the latents of models that were trained on pairs, with single scans beside them."""
    single, *pairs = (runs["checkpoint"][runs["method"] == method] for method in METHODS)
    models = (*(path for paths in pairs[::-1] for path in paths), "--baseline", *single)
    mapping = folder / "simulated.yaml"
    mapping.write_text(
        files("disentangle_pl.brain.mappings").joinpath("adnimerge.yaml").read_text().replace("ADNI", "SIM")
    )
    later = ("--clinical", folder / "cohort" / "adnimerge.csv", "--mapping", mapping)
    call("predict-scores", *models, *later, "--part=both", *data(folder), "--out", folder / "clinic")
    models = (*pairs[-1], "--baseline", *single)
    without = ("--residualise", "site", "tesla", "--targets", "mmse", "cn_ad", "cn_mci")
    call("predict-scores", *models, *without, "--part=both", *data(folder), "--out", folder / RESIDUAL)


def keep(folder: Path, studies: dict[str, list[Path]], results: Path) -> None:
    """Copy tables, words and pictures, but no scans, genotypes or p of all variants."""
    for paths in studies.values():
        for path in (each / name for each in paths for name in (*KEPT, *DRAWN)):
            if path.exists() and (path.suffix != ".png" or path.parent == paths[0]):
                _copy(path, results / "genome" / path.relative_to(folder / "gwas"))
    for path in [*(folder / "gwas").glob("*.tsv"), folder / "gwas" / "found.png", folder / "split.tsv"]:
        _copy(path, results / "genome" / path.name)
    for path in (folder / "clinic").glob("*"):
        if path.suffix in {".png", ".tsv", ".md"}:
            _copy(path, results / "clinic" / path.name)
    _copy(folder / RESIDUAL / "findings.md", results / "clinic" / "without_site.md")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def main(args: Sequence[str] | None = None) -> None:
    """Do what is missing, and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brain", type=Path, default=Path("runs/brain"), help="of make brain (default: %(default)s)")
    parser.add_argument("--subjects", type=int, default=1500, help="people of the cohort (default: %(default)s)")
    parser.add_argument("--followed", type=int, default=150, help="first people, all scans (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"), help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, help="copy tables, words and pictures there")
    given = parser.parse_args(args)
    folder: Path = given.out
    if not (given.brain / "methods" / "results.tsv").exists():
        parser.error(f"{given.brain} has no models: run make brain first, or give --brain")
    folder.mkdir(parents=True, exist_ok=True)
    runs = finished(given.brain / "methods")
    make_data(folder, given.brain, given.subjects, given.followed)
    write_people(folder)
    studies = scan_genome(folder, runs)
    sum_up(folder, studies)
    predict(folder, runs)
    if given.results:
        keep(folder, studies, given.results)
    print(f"The genome: {folder / 'gwas'}. Dementia scores: {folder / 'clinic' / 'report.html'}")


if __name__ == "__main__":
    main()
