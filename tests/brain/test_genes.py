"""Genotypes have the planned frequencies, and add up to what is planted."""

import numpy as np
import pytest

from disentangle_pl.brain.genes import (
    ABSENT,
    E2,
    E4,
    HERITABILITY,
    SEVERITY,
    STATIC,
    alleles,
    apoe4_copies,
    calls,
    causal_variants,
    explained_liability,
    genetic_values,
    plan_variants,
)

PEOPLE = 4000


def test_variants_are_sorted_unique_and_planted() -> None:
    variants = plan_variants(0, 500)
    assert len(variants) == len({v.name for v in variants}) == 500
    assert list(variants) == sorted(variants, key=lambda v: (v.chromosome, v.position))
    assert [sum(v.factor == factor for v in variants) for factor in STATIC] == [20] * 5
    assert {v.name for v in variants if v.factor == SEVERITY} == {"rs429358", "rs7412"}
    assert all(v.allele_1 != v.allele_2 and 1 <= v.chromosome <= 22 for v in variants)
    assert plan_variants(1, 500) != variants
    assert (causal_variants(24), causal_variants(25), causal_variants(9999)) == (0, 1, 50)
    assert len(plan_variants(0, 2)) == 2


def test_frequencies_and_hardy_weinberg() -> None:
    for variant in plan_variants(0, 60)[:25]:
        drawn, _ = alleles(0, variant, 0, PEOPLE)
        p = variant.frequency
        assert drawn.mean() / 2 == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / (2 * PEOPLE)))
        assert (drawn == 1).mean() == pytest.approx(2 * p * (1 - p), abs=0.04)


def test_apoe_has_three_haplotypes() -> None:
    two = {v.name: alleles(0, v, 0, PEOPLE)[0] for v in plan_variants(0, 2)}
    e4, e2 = two["rs429358"], two["rs7412"]
    assert (e4 + e2).max() == 2
    assert (e4.mean() / 2, e2.mean() / 2) == pytest.approx((E4, E2), abs=0.02)
    assert [apoe4_copies(0, k) for k in range(50)] == e4[:50].tolist()


def test_one_person_is_drawn_as_among_all() -> None:
    variant = plan_variants(0, 50)[7]
    everybody = alleles(0, variant, 0, 100)
    for k in (0, 1, 57):
        alone = alleles(0, variant, k, 1)
        assert alone[0][0] == everybody[0][k]
        assert alone[1][0] == everybody[1][k]
    assert np.array_equal(calls(0, variant, 40), calls(0, variant, 100)[:40])


def test_some_calls_are_missing() -> None:
    shares = {v.name: (calls(0, v, PEOPLE) == ABSENT).mean() for v in plan_variants(0, 50)}
    assert shares["rs429358"] == 0
    assert shares["sim000003"] == pytest.approx(0.01, abs=0.006)
    assert shares["sim000004"] == 0
    assert set(np.unique(calls(0, plan_variants(0, 50)[0], PEOPLE))) <= {ABSENT, 0, 1, 2}


def test_planted_effects_explain_their_share() -> None:
    values = [genetic_values(0, 125, k) for k in range(1200)]
    for factor in STATIC:
        drawn = np.array([value[factor] for value in values])
        assert drawn.mean() == pytest.approx(0, abs=0.1)
        assert drawn.var() == pytest.approx(HERITABILITY, rel=0.2)
    liability = np.array([value[SEVERITY] for value in values])
    assert liability.var() == pytest.approx(explained_liability(), rel=0.2)


def test_an_effect_is_found_by_regression() -> None:
    values = np.array([genetic_values(0, 125, k)["ventricles"] for k in range(1000)])
    planted = [v for v in plan_variants(0, 125) if v.factor == "ventricles"]
    dosage = np.stack([alleles(0, v, 0, 1000)[0] for v in planted], axis=1).astype(float)
    design = np.column_stack([dosage, np.ones(1000)])
    found = np.linalg.lstsq(design, values, rcond=None)[0][:-1]
    assert found == pytest.approx([v.effect for v in planted], abs=1e-9)
