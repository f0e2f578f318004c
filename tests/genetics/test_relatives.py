"""Kinship by genotypes: the coefficients of plink2, and who is related among people out of nothing."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.genotypes import Genotypes
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.relatives import closest, kinship, kinship_error, relatives, sentences_of
from tests.genetics.made import make, write


def family(variants: int = 2500, people: int = 60, seed: int = 0) -> Calls:
    """Strangers, of whom the last four are a child of 0 and 1, its brother, one more child of 0, and 2 once more."""
    rng = np.random.default_rng(seed)
    chromosomes = rng.random((variants, people, 2)) < rng.uniform(0.2, 0.8, (variants, 1, 1))

    def child(mother: int, father: int) -> np.ndarray:
        picks = rng.integers(0, 2, (2, variants))
        rows = np.arange(variants)
        return np.stack((chromosomes[rows, mother, picks[0]], chromosomes[rows, father, picks[1]]), axis=1)

    for place, made in ((-4, child(0, 1)), (-3, child(0, 1)), (-2, child(0, 3)), (-1, chromosomes[:, 2])):
        chromosomes[:, place] = made
    calls: Calls = chromosomes.sum(axis=2).astype(np.int8)
    calls[rng.random(calls.shape) < 0.01] = -127
    return calls


def test_relatives_and_people_there_twice_are_found_and_strangers_are_not() -> None:
    found = closest(family(), np.arange(60))
    pairs = dict(zip(zip(found.first.tolist(), found.second.tolist(), strict=True), found.kinship, strict=True))
    degrees = {(0, 56): 0.25, (1, 56): 0.25, (0, 57): 0.25, (1, 57): 0.25, (56, 57): 0.25, (0, 58): 0.25}
    degrees |= {(3, 58): 0.25, (56, 58): 0.125, (57, 58): 0.125, (2, 59): 0.5}
    assert set(pairs) == set(degrees)
    for pair, expected in degrees.items():
        assert pairs[pair] == pytest.approx(expected, abs=0.05)
    said = sentences_of(found, pd.Series([f"p{i}" for i in range(60)]))
    assert said[0].startswith(
        "**10 pairs of 60 people are related to the second degree or closer, 1 of them with the same genotypes"
    )
    assert "p2 and p59" in said[0]


def test_few_variants_tell_no_distant_relatives_and_strangers_are_silent() -> None:
    few = closest(family(variants=150), np.arange(60))
    assert few.degree == "the same genotypes"
    assert few.first.tolist() == [2]
    assert closest(family(variants=20), np.arange(60)).degree is None
    strangers = closest(family()[:, :56], np.arange(56))
    assert strangers.degree == "second degree"
    assert sentences_of(strangers, pd.Series(range(56))) == []


def test_the_error_is_that_of_strangers() -> None:
    calls = np.random.default_rng(1).binomial(2, np.full((400, 200), 0.3)).astype(np.int8)
    found = kinship(calls, calls)[np.triu_indices(200, 1)]
    assert found.std() == pytest.approx(kinship_error(calls), rel=0.12)
    assert -0.03 < found.mean() <= 0, "the smaller of two counts is below their mean"


def test_a_study_of_two_files_is_searched_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = family()
    write(tmp_path / "chr1", calls[:700], 1)
    write(tmp_path / "chr2", calls[700:], 2, 701)
    monkeypatch.setattr("disentangle_pl.genetics.relatives.CHUNK", 17)
    filesets = open_filesets([str(tmp_path / "chr{chr}.bed")])
    with Genotypes(filesets, filesets[0].people[10:]) as genotypes:
        found = relatives(genotypes, 50)
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == {(46, 47), (46, 48), (47, 48)}
    assert 2300 < found.variants <= 2500


@pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2: apt-get install plink2")
def test_coefficients_are_those_of_plink2(tmp_path: Path) -> None:
    made = make(people=60, variants=300, missing=0.05)
    prefix = write(tmp_path / "made", made.calls).with_suffix("")
    flags = ["plink2", "--bfile", str(prefix), "--make-king", "square", "--out", str(prefix)]
    subprocess.run(flags, check=True, capture_output=True, timeout=60)
    theirs = np.loadtxt(tmp_path / "made.king")
    mine = kinship(made.calls, made.calls)
    off = ~np.eye(60, dtype=bool)
    np.testing.assert_allclose(mine[off], theirs[off], atol=2e-6)
