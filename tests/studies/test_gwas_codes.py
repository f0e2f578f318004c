"""Latents as phenotypes: one value a person who was not trained on, with covariates of the visits."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from disentangle_pl.brain.split_file import write_split
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import covariates_of, numbers_of
from disentangle_pl.genetics.plink import write_plink
from disentangle_pl.genetics.traits import Summary
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies import gwas_kept
from disentangle_pl.studies.exposure import Exposure
from disentangle_pl.studies.gwas_codes import phenotypes_from
from disentangle_pl.studies.harmonisation import TABLE
from disentangle_pl.studies.scan_codes import ScanCodes, encode_scans
from tests.command_line import refused, run
from tests.genetics.made import rows
from tests.studies.brain_runs import HELD_OUT, Runs
from tests.studies.brain_runs import PEOPLE as EVERYBODY

PEOPLE = ["sub-1", "sub-2", "sub-3", "sub-4"]


def scans() -> tuple[ScanCodes, pd.DataFrame]:
    """Three scans of each of four people; the first is trained on; latent 1 is dead."""
    years = np.tile([2.0, 0.0, 1.0], 4)
    person = np.repeat(np.arange(4), 3)
    codes = np.stack((person + years * (person + 1), np.full(12, 0.3), -years), axis=1)
    visits = pd.DataFrame({"participant_id": np.array(PEOPLE)[person], "years": years, "age": 70 + person + years})
    visits["session_id"] = np.tile(["ses-M24", "ses-M00", "ses-M12"], 4)
    visits["sex"], visits["site"] = np.where(person % 2, "M", "F"), None
    known = pd.DataFrame({"age": visits["age"], "ml_icv": 1400.0 + 10 * person + years})
    seen = Exposure(person == 0, True, ())
    return ScanCodes(torch.from_numpy(codes), visits, np.arange(3), np.arange(3, 12), seen), known


def test_one_value_of_everybody_who_was_not_trained_on() -> None:
    codes, known = scans()
    found = phenotypes_from(codes, known, "baseline", False)
    assert found.phenotypes.people["iid"].tolist() == PEOPLE[1:]
    names, values = numbers_of(found.phenotypes)
    assert names == ["z0", "z2"]
    np.testing.assert_allclose(values, [[1, 0], [2, 0], [3, 0]])
    assert found.covariates is not None
    names, values = covariates_of(found.covariates)
    assert names == ["age", "age2", "sex=M", "head_size"]
    np.testing.assert_allclose(values, [[-1, 1, 1, 1410], [0, 0, 0, 1420], [1, 1, 1, 1430]])
    assert any("1 people that the model was trained on, by the hashes" in said for said in found.remarks)
    unsure = codes.exposure._replace(certain=False, cautions=("nobody can tell",))
    said = phenotypes_from(codes._replace(exposure=unsure), known, "baseline", False).remarks
    assert "1 people whom the split of the data has for training are left out" in said
    assert "**nobody can tell**" in said
    assert any("site" in said for said in found.remarks)


def test_a_site_of_digits_is_a_name() -> None:
    codes, known = scans()
    codes.visits["site"] = np.repeat(["3", "3", "4", "3"], 3)
    found = phenotypes_from(codes, known.drop(columns="ml_icv"), "baseline", True)
    assert found.covariates is not None
    names, values = covariates_of(found.covariates)
    assert names == ["age", "age2", "sex=M", "site=site 4"]
    assert values[:, 3].tolist() == [0, 0, 1, 0]
    assert any("head_size" in said for said in found.remarks)


def test_means_and_slopes() -> None:
    codes, known = scans()
    found = phenotypes_from(codes, known, "mean", True)
    np.testing.assert_allclose(numbers_of(found.phenotypes)[1], [[1, -1], [3, -1], [5, -1], [7, -1]])
    assert found.covariates is not None
    np.testing.assert_allclose(covariates_of(found.covariates)[1][:, 3], [1401, 1411, 1421, 1431])
    assert any("**the model was trained on 1" in said for said in found.remarks)
    slopes = phenotypes_from(codes, known, "slope", True)
    np.testing.assert_allclose(numbers_of(slopes.phenotypes)[1], [[1, -1], [2, -1], [3, -1], [4, -1]])


def test_a_rescan_is_no_visit_of_its_own() -> None:
    codes, known = scans()
    again = np.array([4, 4, 8])  # rescans of first and last visits, far from the scans of the day
    visits = codes.visits.loc[again].assign(session_id=["ses-M00_run-2", "ses-M00_run-3", "ses-M12_run-2"])
    more = ScanCodes(
        torch.cat([codes.mean, codes.mean[again] + torch.tensor([100.0, 0.0, 100.0])]),
        pd.concat([codes.visits, visits], ignore_index=True),
        codes.train,
        np.arange(3, 15),
        codes.exposure._replace(seen=np.append(codes.exposure.seen, [False] * 3)),
    )
    numbers = pd.concat([known, known.loc[again] + 100], ignore_index=True)
    for summary in get_args(Summary):
        want, found = (phenotypes_from(*each, summary, False) for each in ((codes, known), (more, numbers)))
        np.testing.assert_allclose(numbers_of(found.phenotypes)[1], numbers_of(want.phenotypes)[1])
        assert want.covariates is not None
        assert found.covariates is not None
        np.testing.assert_allclose(covariates_of(found.covariates)[1], covariates_of(want.covariates)[1])
    assert "(3 rescans of the same visits are left out)" in found.remarks[0]


def test_nothing_to_associate() -> None:
    codes, known = scans()
    with pytest.raises(InputError, match="all people are training people"):
        phenotypes_from(codes._replace(exposure=Exposure(np.ones(12, bool), True, ())), known, "mean", False)
    with pytest.raises(InputError, match="no latent of the model varies"):
        phenotypes_from(codes._replace(mean=torch.zeros(12, 3)), known, "mean", False)


def test_the_latents_of_a_checkpoint(
    brain_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = np.random.default_rng(0).integers(0, 3, (12, EVERYBODY)).astype(np.int8)
    people = [f"sub-{i:03d}" for i in range(EVERYBODY)]
    write_plink(tmp_path / "genes", people, [True] * EVERYBODY, rows(12), iter(calls))
    more = torch.load(brain_runs.plain, weights_only=False)
    loud = tmp_path / "run" / "checkpoints" / "last.ckpt"
    loud.parent.mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text((brain_runs.plain.parents[1] / "config.yaml").read_text())
    last = [name for name in more["state_dict"] if "encoder" in name and name.endswith("weight")][-1]
    more["state_dict"][last] *= 100  # so that the latents of an untrained model vary
    torch.save(more, loud)
    load_model(loud)
    flags = (
        "gwas",
        f"--bed={tmp_path / 'genes.bed'}",
        f"--checkpoint={loud}",
        f"--out={tmp_path / 'study'}",
        "--hwe=0",
        "--geno=1",
        "--maf=0",
        "--multivariate=false",
        "--plots=false",
        "--permutations=2",
    )
    encoded: list[int] = []

    def counted(*what: Any) -> ScanCodes:
        encoded.append(1)
        return encode_scans(*what)

    monkeypatch.setattr(gwas_kept, "encode_scans", counted)
    run(*flags, "--shard=1/2", "--block=5")
    run(*flags, "--shard=2/2", "--block=5")
    run(*flags, "--merge=true", "--block=5")
    assert len(encoded) == 1
    found = pq.read_table(tmp_path / "study" / "associations.parquet").to_pandas()
    assert set(found["n"]) == {HELD_OUT + 1}
    assert set(found["phenotype"]) <= {"z0", "z1", "z2", "z3"}
    told = (tmp_path / "study" / "findings.md").read_text()
    assert f"{EVERYBODY - HELD_OUT - 1} people that the model was trained on, by the hashes in its checkpoint" in told
    parts = ["test"] * (EVERYBODY - HELD_OUT - 1) + ["val"] + ["train"] * HELD_OUT
    write_split(tmp_path / "exchanged.tsv", pd.Series(parts, index=people), "by hand")
    components = pd.DataFrame({"IID": people, "PC1": np.random.default_rng(1).normal(size=EVERYBODY)})
    components.to_csv(tmp_path / "pcs.txt", sep="\t", index=False)
    more_flags = [f"--data.split_file={tmp_path / 'exchanged.tsv'}", f"--covariates={tmp_path / 'pcs.txt'}"]
    run(*flags[:3], f"--out={tmp_path / 'exchanged'}", *flags[4:], *more_flags)
    pd.testing.assert_series_equal(
        pq.read_table(tmp_path / "exchanged" / "associations.parquet").to_pandas()["n"], found["n"]
    )
    summary = json.loads((tmp_path / "exchanged" / "summary.json").read_text())
    plain = json.loads((tmp_path / "study" / "summary.json").read_text())
    assert summary["covariates"] == ["PC1", *plain["covariates"]]
    assert {"age", "age2"} <= set(plain["covariates"])
    told = (tmp_path / "exchanged" / "findings.md").read_text()
    assert f"**run was trained on {EVERYBODY - HELD_OUT - 1} of the {EVERYBODY - HELD_OUT} people whom" in told
    assert "No covariate looks like a component" not in told
    assert "No covariate looks like a component" in (tmp_path / "study" / "findings.md").read_text()
    scans = pd.read_csv(brain_runs.scans, sep="\t", na_values=["n/a"])
    scans["site"] = np.array(["a", "b"])[scans["participant_id"].factorize()[0] % 2]
    scans.to_csv(tmp_path / "sites.tsv", sep="\t", index=False, na_rep="n/a")
    combat = ["--combat.batch=site", "--combat.covariates=[age]", "--combat.controls=null"]
    (tmp_path / "w12345.csv").write_text("sub-000")  # whom the model was trained on
    combat.append(f"--withdrawn={tmp_path / 'w12345.csv'}")
    run(*flags[:3], f"--out={tmp_path / 'combat'}", *flags[4:], f"--data.root={tmp_path / 'sites.tsv'}", *combat)
    findings = (tmp_path / "combat" / "findings.md").read_text()
    assert f"ComBat over site is fitted to 14 training scans, of {EVERYBODY - HELD_OUT - 2} people" in findings
    assert pd.read_csv(tmp_path / "combat" / TABLE, sep="\t")["of"].tolist() == ["latents", "latents"]
    again = pq.read_table(tmp_path / "combat" / "associations.parquet").to_pandas()
    assert (again["beta"] != found["beta"]).any()
    said = refused(capsys, "gwas", flags[1], "--phenotypes=z.txt", f"--out={tmp_path / 'x'}", "--combat.batch=site")
    assert "--combat.batch takes sites out of the latents of --checkpoint" in said
