"""Inflation, effective numbers, false discoveries, clumps and power against closed forms and plain rules."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.clumping import Clumping, clump, squared_correlations
from disentangle_pl.genetics.power import expected_finds, planted_by_factor, power, power_table, read_planted
from disentangle_pl.genetics.significance import (
    Histogram,
    effective_number,
    genomic_inflation,
    pairwise_correlation,
    thresholds,
)


def test_inflation_of_a_histogram_is_that_of_the_median() -> None:
    rng = np.random.default_rng(0)
    chi2 = rng.chisquare(1, (5000, 3)) * [1.0, 1.1, 2.0]
    log10_p = -stats.chi2.logsf(chi2, 1) / np.log(10)
    log10_p[:7, 0] = np.nan
    histogram = Histogram(3)
    histogram.add(log10_p[:2000])
    histogram.add(log10_p[2000:])
    medians = [np.median(chi2[7:, 0]), np.median(chi2[:, 1]), np.median(chi2[:, 2])]
    expected = np.array(medians) / stats.chi2.ppf(0.5, 1)
    np.testing.assert_allclose(histogram.lambdas(), expected, rtol=2e-3)
    assert genomic_inflation(10 ** -log10_p[:, 0]) == pytest.approx(expected[0])
    assert Histogram(2).lambdas().tolist() == [1, 1]


def test_false_discoveries_as_benjamini_and_hochberg() -> None:
    p = np.concatenate((10.0 ** -np.linspace(3, 9, 50), np.random.default_rng(0).random(5000)))
    histogram = Histogram(1)
    histogram.add(-np.log10(p)[:, None])
    found = histogram.false_discovery_threshold(0.05)
    by_hand = stats.false_discovery_control(p) <= 0.05
    assert (p <= found).sum() == pytest.approx(by_hand.sum(), abs=1)
    assert not (by_hand < (p <= found)).any()
    even = Histogram(1)
    even.add(-np.log10(np.linspace(0.001, 1, 1000))[:, None])
    assert even.false_discovery_threshold() == 0


def test_effective_number_of_phenotypes() -> None:
    assert effective_number(np.eye(7)) == 7
    assert effective_number(np.ones((7, 7))) == 1
    pair = np.kron(np.eye(3), np.array([[1, 0.5], [0.5, 1]]))  # eigenvalues 1.5 and 0.5 give 1.5 + 0.5
    assert effective_number(pair) == pytest.approx(6)
    strong = np.array([[1, 0.999999], [0.999999, 1]])
    assert effective_number(strong) == pytest.approx(2, abs=1e-3) or effective_number(strong) < 2.1
    found = thresholds(np.eye(4), 250)
    assert (found.genome_wide, found.phenotypes, found.effective) == (5e-8, 1.25e-8, 1.25e-8)
    assert found.study == pytest.approx(5e-5)


def test_correlation_over_the_people_with_both() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 3))
    values[:9, 0], values[5:20, 2] = np.nan, np.nan
    found = pairwise_correlation(values)
    for i in range(3):
        for j in range(3):
            both = ~np.isnan(values[:, i] + values[:, j])
            assert found[i, j] == pytest.approx(np.corrcoef(values[both, i], values[both, j])[0, 1])


def test_clumps_take_the_best_first() -> None:
    rng = np.random.default_rng(0)
    base = rng.binomial(2, 0.4, 500).astype(np.int8)
    noisy = np.where(rng.random(500) < 0.9, base, 2 - base).astype(np.int8)
    noisy[:20] = -127
    other = rng.binomial(2, 0.4, 500).astype(np.int8)
    calls = np.stack([base, noisy, other, base, base])
    chromosome, position = np.array(["1", "1", "1", "1", "2"]), np.array([1000, 200_000, 2000, 400_000, 1000])
    log10_p = np.array([9.0, 12.0, 8.0, 10.0, 20.0])
    lead = clump(chromosome, position, log10_p, lambda rows: calls[rows], Clumping(0.1, 250_000))
    assert lead.tolist() == [1, 1, 2, 1, 4]
    narrow = clump(chromosome, position, log10_p, lambda rows: calls[rows], Clumping(0.1, 100))
    assert narrow.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="clumps need"):
        Clumping(0).check()


def test_correlation_of_dosages() -> None:
    rng = np.random.default_rng(1)
    calls = rng.integers(-1, 3, (6, 200)).astype(np.int8)
    calls[5] = 1
    found = squared_correlations(calls[0], calls)
    for j in range(5):
        both = (calls[0] >= 0) & (calls[j] >= 0)
        assert found[j] == pytest.approx(np.corrcoef(calls[0][both], calls[j][both])[0, 1] ** 2)
    assert found[5] == 0


def test_power_is_how_often_a_fit_finds_the_effect() -> None:
    rng = np.random.default_rng(0)
    people, explained, level = 300, 0.03, 0.01
    dosage = rng.binomial(2, 0.3, (1500, people)).astype(float)
    dosage = (dosage - dosage.mean(axis=1, keepdims=True)) / dosage.std(axis=1, keepdims=True)
    values = np.sqrt(explained) * dosage + np.sqrt(1 - explained) * rng.standard_normal(dosage.shape)
    r = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(dosage, values, strict=True)])
    t = r * np.sqrt((people - 2) / (1 - r**2))
    found = (2 * stats.t.sf(np.abs(t), people - 2) < level).mean()
    assert power(people, np.array([explained]), level)[0] == pytest.approx(found, abs=0.04)
    table = power_table(people, {"5e-08": 5e-8})
    assert table["5e-08"].is_monotonic_increasing


def test_planted_effects(tmp_path: Path) -> None:
    path = tmp_path / "truth_snps.tsv"
    path.write_text("snp\tfactor\tfrequency\teffect_sd\nrs1\tcortex\t0.5\t0.2\nrs2\tn/a\t0.1\t0\n")
    found = expected_finds(read_planted(path), 1000, {"strict": 5e-8})
    assert found["id"].tolist() == ["rs1"]
    assert found["explained"][0] == pytest.approx(0.02)
    assert found["power_strict"][0] == pytest.approx(power(1000, np.array([0.02]), 5e-8)[0])
    path.write_text("snp\tfactor\tfrequency\teffect_sd\nrs2\tn/a\t0.1\t0\n")
    with pytest.raises(InputError, match="no variant with a factor"):
        read_planted(path)


def test_what_was_planted_is_summed_up_by_factor() -> None:
    planted = pd.DataFrame({"factor": ["b", "a", "b"], "neg_log10_p": [9.0, np.nan, 2.0]})
    planted = planted.assign(power_strict=[0.5, 0.9, 0.25], power_study=[1.0, 1.0, 0.5])
    found = planted_by_factor(planted, {"strict": 5e-8, "study": 0.01})
    assert found["factor"].tolist() == ["a", "b"]
    assert found["planted"].tolist() == [1, 2]
    assert found["tested"].tolist() == [0, 2]
    assert found["expected_strict"].tolist() == [0, 0.75]
    assert found["found_strict"].tolist() == [0, 1]
    assert found["expected_study"].tolist() == [0, 1.5]
    assert found["found_study"].tolist() == [0, 2]
