"""Results as LDSC reads them, and the script that runs it."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.exports import About, export
from disentangle_pl.genetics.results import associations_table, write_whole
from tests.genetics.made import make


def test_statistics_for_ldsc_and_its_script(tmp_path: Path) -> None:
    made = make(people=60, variants=5)
    alleles = pd.DataFrame({"a1": ["A", "A", "AT", "C", "T"], "other": ["G", "T", "A", "G", "C"]})
    places = pd.DataFrame({"chromosome": "1", "position": np.arange(5), "id": [f"rs{i}" for i in range(5)]})
    found = Scan(made.phenotypes, made.covariates, ["z0", "z 1", "z2"], ["a", "b", "c"])(made.calls)
    names = ["z0", "z 1", "z2"]
    write_whole(associations_table(places.join(alleles), found, names), tmp_path / "all.parquet")
    export(tmp_path / "all.parquet", tmp_path / "export", "ldsc", names, None, About(""))
    table = pd.read_csv(tmp_path / "export" / "z_1.sumstats", sep="\t")
    assert table[["SNP", "A1", "A2"]].to_numpy().tolist() == [["rs0", "A", "G"], ["rs4", "T", "C"]]
    assert table["N"].tolist() == found.people[[0, 4], 1].tolist()
    np.testing.assert_allclose(table["Z"], found.t[[0, 4], 1], rtol=1e-7)
    program = tmp_path / "ldsc.py"
    program.write_text(f'#!/bin/sh\necho "$1" "$2" "$4" "$8" >> "{tmp_path / "calls"}"\n')
    program.chmod(0o755)
    (tmp_path / "scores").mkdir()
    there = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ["sh", "export/ldsc.sh", "scores"]
    subprocess.run(script, cwd=tmp_path, check=True, capture_output=True, timeout=60, env=there)
    scores = f"{tmp_path / 'scores'}/"
    assert (tmp_path / "calls").read_text().splitlines() == [
        *(f"--h2 {name}.sumstats {scores} h2_{name}" for name in ("z0", "z2", "z_1")),
        f"--rg z0.sumstats,z2.sumstats,z_1.sumstats {scores} rg_z0",
        f"--rg z2.sumstats,z_1.sumstats {scores} rg_z2",
    ]
