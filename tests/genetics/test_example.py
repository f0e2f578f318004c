"""The example of regenie: the whole verb against least squares of statsmodels 0.15.0, stored in example_ols.tsv."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command_line import run
from tests.genetics.made import SHARED

STORED = Path(__file__).parent / "example_ols.tsv"


@pytest.mark.parametrize("name", ["example", "example_3chr"])
def test_the_verb_gives_the_stored_numbers(tmp_path: Path, name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no genotypes at {SHARED}")
    tables = ["--phenotypes", str(SHARED / "phenotype.txt"), "--covariates", str(SHARED / "covariates.txt")]
    flags = ["--maf", "0", "--geno", "1", "--hwe", "0", "--rint=false", "--plots=false", "--block", "300"]
    run("gwas", "--bed", str(SHARED / f"{name}.bed"), *tables, *flags, "--out", str(tmp_path / "out"))
    found = pd.read_parquet(tmp_path / "out" / "associations.parquet").astype({"id": str, "phenotype": str})
    stored = pd.read_csv(STORED, sep="\t", dtype={"id": str})
    stored = stored[stored["fileset"] == name]
    both = stored.merge(found, on=["id", "phenotype"], suffixes=("", "_ours"), validate="one_to_one")
    assert len(both) == len(stored) >= 20
    assert (both["n"] == both["n_ours"]).all()
    for column in ("beta", "se", "t", "p"):
        np.testing.assert_allclose(both[f"{column}_ours"], both[column], rtol=1e-10)
