"""Filters of variants: Hardy-Weinberg against a sum over all samples, and the reason of every exclusion."""

from math import comb
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.genotypes import REASONS, Genotypes, Limits, poor_on_x, spans
from disentangle_pl.genetics.hardy_weinberg import departs, exact_mid_p
from tests.genetics.made import write


def by_hand(mixed: int, one: int, two: int) -> float:
    """Weigh every sample of the same allele counts with whole numbers."""
    people, allele = mixed + one + two, mixed + 2 * one
    weights = {}
    for h in range(allele % 2, min(allele, 2 * people - allele) + 1, 2):
        a = (allele - h) // 2
        weights[h] = 2**h * comb(people, h) * comb(people - h, a)
    less = sum(weight for weight in weights.values() if weight < weights[mixed])
    like = sum(weight for weight in weights.values() if weight == weights[mixed])
    return float((2 * less + like) / (2 * sum(weights.values())))


def test_mid_p_is_the_sum_over_all_samples() -> None:
    rng = np.random.default_rng(0)
    counts = np.concatenate((rng.integers(0, 12, (60, 3)), rng.integers(0, 90, (60, 3)), [[0, 0, 0], [5, 0, 0]]))
    expected = [by_hand(*row) for row in counts.tolist()]
    np.testing.assert_allclose(exact_mid_p(*counts.T.astype(np.int64)), expected, rtol=1e-9)


def test_a_published_table() -> None:
    # Wigginton et al. 2005, table 1: 21 rare alleles of 100 people; p-values by heterozygous ones
    cumulated = {13: 0.010293, 15: 0.069576, 17: 0.284042, 21: 0.593645}
    weights = {h: 2**h * comb(100, h) * comb(100 - h, (21 - h) // 2) for h in range(1, 22, 2)}
    for mixed, p in cumulated.items():
        half = weights[mixed] / sum(weights.values()) / 2
        found = exact_mid_p(
            np.array([mixed]), np.array([(21 - mixed) // 2]), np.array([100 - mixed - (21 - mixed) // 2])
        )
        assert found[0] + half == pytest.approx(p, abs=1e-6)


def test_far_samples_of_many_people_are_exact_too() -> None:
    for row in ([0, 300, 700], [900, 50, 50], [380, 120, 1500], [2, 1, 1997]):
        found = exact_mid_p(*(np.array([count]) for count in row))[0]
        assert found == pytest.approx(by_hand(*row), rel=1e-8)


def test_every_exclusion_has_its_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    good = rng.binomial(2, 0.4, 100).astype(np.int8)
    none, same, rare, few, odd = good * 0 - 127, good * 0 + 2, good * 0, good.copy(), good * 0
    rare[0], few[:6], odd[:50] = 1, -127, 2
    calls = np.stack([good, none, same, few, rare, odd]).astype(np.int8)
    beds = [write(tmp_path / "a", calls), write(tmp_path / "b", calls[:2]), write(tmp_path / "x", calls[:1], 23)]
    filesets = open_filesets([str(bed) for bed in beds])
    told = []
    with Genotypes(filesets, filesets[0].people) as genotypes:
        for span in spans(filesets, 4):
            told += genotypes.faults(span, genotypes.read(span), Limits()).tolist()
    reasons = ["passes" if number < 0 else REASONS[number] for number in told]
    names = ["passes", "no call at all", "monomorphic", "too few calls (geno)", "too rare (maf)"]
    names += ["out of Hardy-Weinberg proportions (hwe)", "given twice", "given twice"]
    assert reasons == [*names, "not on chromosomes 1 to 22 or X, or on X without known sexes"]


def test_a_swapped_copy_and_a_negative_position_are_left_out(tmp_path: Path) -> None:
    calls = np.random.default_rng(1).binomial(2, 0.4, (4, 100)).astype(np.int8)
    bed = write(tmp_path / "a", calls)
    bed.with_suffix(".bim").write_text("1 rs1 0 5 A G\n1 rs1 0 5 G A\n1 rs2 0 -7 A G\n1 rs1 0 5 A T\n")
    filesets = open_filesets([str(bed)])
    with Genotypes(filesets, filesets[0].people) as genotypes:
        (span,) = spans(filesets, 10)
        told = genotypes.faults(span, genotypes.read(span), Limits(hwe=0))
    twice, negative = REASONS.index("given twice"), REASONS.index("at a negative position")
    assert told.tolist() == [-1, twice, negative, -1]


def test_filters_on_x_count_men_once(tmp_path: Path) -> None:
    sex = np.repeat(np.array(["F", "M", None], object), [50, 50, 20])
    men, women = sex == "M", sex == "F"
    calls = np.zeros((4, 120), np.int8)
    calls[0, women], calls[0, men] = np.tile([0, 1, 1, 2, 1], 10), np.tile([0, 2], 25)
    calls[1, men] = np.tile([2, 0], 25)  # out of proportions only if men were taken for women
    calls[1, women] = np.tile([0, 1, 1, 2, 1], 10)
    calls[2, women] = np.tile([0, 2], 25)
    calls[3, ~men & ~women] = 2
    poor = np.stack(list(poor_on_x(calls, sex, Limits(maf=0.05, hwe=1e-6))))
    poor = poor[:5]
    assert poor.T.tolist() == [[False] * 5, [False] * 5, [False] * 4 + [True], [False, True, False, True, False]]
    fewest = Limits(geno=0.3, maf=0, hwe=0)
    calls[0, women] = -127
    assert next(rows for k, rows in enumerate(poor_on_x(calls, sex, fewest)) if k == 2).tolist() == [True] + [False] * 3


@pytest.mark.parametrize("limits", [Limits(maf=0.6), Limits(geno=-1), Limits(hwe=2)])
def test_impossible_limits_are_refused(limits: Limits) -> None:
    with pytest.raises(InputError, match="must lie in"):
        limits.check()


def test_what_is_near_its_mean_is_never_out_of_proportions() -> None:
    for people in (5, 17, 40, 90):
        counts = [(mixed, two) for mixed in range(people + 1) for two in range((people - mixed) // 2 + 1)]
        one, two = np.array(counts).T
        none = people - one - two
        for limit in (1e-6, 1e-3, 0.2):
            np.testing.assert_array_equal(departs(one, two, none, limit), exact_mid_p(one, two, none) < limit)
