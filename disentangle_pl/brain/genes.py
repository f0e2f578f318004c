"""Variants with planted effects, and everybody's genotypes at them.

Every genotype is a function of the cohort's seed, the variant and the person, so one person's can be drawn without the
others', and a variant's for all people without the other variants'. Variants are independent of each other, and in
Hardy-Weinberg proportions, but for the two of APOE, whose three haplotypes are those of the real gene.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from disentangle_pl.brain.anatomy import Matrix
from disentangle_pl.brain.seeds import Stream, draws, sequence

STATIC = ("ventricles", "cortex", "hippocampus", "white_matter", "head")
SEVERITY = "liability"
HERITABILITY = 0.4  # of what stays of a static factor beside age, sex and disease
MOST_CAUSAL, ONE_CAUSAL_IN = 50, 25  # planted variants a static factor: at most; one in so many
E4, E2 = 0.25, 0.06  # frequencies of the haplotypes, as in cohorts rich in patients
E4_EFFECT, E2_EFFECT = 0.55, -0.2  # of one copy, on the liability of variance 1
MISSING_IN, MISSING = 3, 0.01  # every third variant lacks 1 % of the calls
ABSENT = -127  # how bed-reader says that a call is missing
_NUMBERS = 3  # uniform numbers a person and variant: two alleles and whether the call is missing

Calls = npt.NDArray[np.int8]


class Variant(NamedTuple):
    """A place in the genome with two alleles.

    Attributes:
        name: Identifier; those that begin with sim are made up.
        chromosome: 1 to 22.
        position: Base pairs, GRCh38 for the two of APOE.
        allele_1: The counted allele.
        allele_2: The other one.
        stream: Which random numbers its genotypes are made of.
        low: A uniform number from here
        high: to there is allele 1, so the frequency is high - low.
        missing: Share of missing calls.
        factor: What it acts on, one of `STATIC` or `SEVERITY`, or "" for nothing.
        effect: Of one allele 1, in standard deviations of the factor's unexplained part.
    """

    name: str
    chromosome: int
    position: int
    allele_1: str
    allele_2: str
    stream: int
    low: float
    high: float
    missing: float
    factor: str
    effect: float

    @property
    def frequency(self) -> float:
        """Of allele 1."""
        return self.high - self.low


@lru_cache(maxsize=4)
def plan_variants(seed: int, count: int) -> tuple[Variant, ...]:
    """Draw the variants of a cohort, sorted by chromosome and position: the two of APOE, and others.

    Of `count` variants, one in 25 (at most 50) acts on each of the five static factors, and explains with the others
    of that factor 40 % of its variance beside age, sex and disease.
    """
    apoe = (
        Variant("rs429358", 19, 44908684, "C", "T", 0, 0.0, E4, 0.0, SEVERITY, E4_EFFECT),
        Variant("rs7412", 19, 44908822, "T", "C", 0, 1 - E2, 1.0, 0.0, SEVERITY, E2_EFFECT),
    )
    causal = causal_variants(count)
    acts = [factor for factor in STATIC for _ in range(causal)]
    rng = draws(seed, Stream.VARIANTS)
    variants = [_variant(rng, stream) for stream in range(1, count - len(apoe) + 1)]
    planted = [
        variant._replace(factor=factor, effect=effect)
        for variant, factor, effect in zip(variants, acts, _effects(rng, variants, causal), strict=False)
    ]
    return tuple(sorted((*apoe, *planted, *variants[len(planted) :]), key=lambda v: (v.chromosome, v.position)))


def causal_variants(count: int) -> int:
    """Return how many of so many variants act on each static factor."""
    return min(MOST_CAUSAL, count // ONE_CAUSAL_IN)


def alleles(seed: int, variant: Variant, start: int, count: int) -> tuple[Calls, npt.NDArray[np.bool_]]:
    """Count allele 1 (count,) of the people from `start` on, and say whose call is missing (count,)."""
    bits = np.random.PCG64(sequence(seed, Stream.GENOTYPES, variant.stream)).advance(_NUMBERS * start)
    uniform = np.random.Generator(bits).random((count, _NUMBERS))
    counts = ((uniform[:, :2] >= variant.low) & (uniform[:, :2] < variant.high)).sum(1, dtype=np.int8)
    return counts, uniform[:, 2] < variant.missing


def calls(seed: int, variant: Variant, count: int) -> Calls:
    """Return the calls (count,) of the first people: 0, 1 or 2 times allele 1, or -127."""
    counts, missing = alleles(seed, variant, 0, count)
    return np.where(missing, np.int8(ABSENT), counts)


def genetic_values(seed: int, count: int, person: int) -> dict[str, float]:
    """Sum up what a person's genotypes add to every factor, in standard deviations, 0 on average.

    Args:
        seed: Of the cohort.
        count: Variants of the cohort.
        person: Index.
    """
    values = dict.fromkeys((*STATIC, SEVERITY), 0.0)
    for variant in plan_variants(seed, count):
        if variant.factor:
            copies = alleles(seed, variant, person, 1)[0][0]
            values[variant.factor] += variant.effect * (float(copies) - 2 * variant.frequency)
    return values


def apoe4_copies(seed: int, person: int) -> int:
    """Count a person's APOE e4 alleles."""
    e4 = next(variant for variant in plan_variants(seed, 2) if variant.name == "rs429358")
    return int(alleles(seed, e4, person, 1)[0][0])


def explained_liability() -> float:
    """Return the variance of the liability that APOE explains."""
    mean = E4 * E4_EFFECT + E2 * E2_EFFECT
    return 2 * (E4 * E4_EFFECT**2 + E2 * E2_EFFECT**2 - mean**2)


def _variant(rng: np.random.Generator, stream: int) -> Variant:
    frequency = rng.uniform(0.05, 0.5)
    first, second = ("AG", "GA", "CT", "TC", "AC", "GT")[rng.integers(6)]
    place = (int(rng.integers(1, 23)), int(rng.integers(1_000_000, 40_000_000)))
    missing = MISSING if stream % MISSING_IN == 0 else 0.0
    return Variant(f"sim{stream:06d}", *place, first, second, stream, 0.0, frequency, missing, "", 0.0)


def _effects(rng: np.random.Generator, variants: list[Variant], causal: int) -> Matrix:
    """Draw the effects (5 * causal,) of the first variants; few are large."""
    if not causal:
        return np.empty(0)
    effects = rng.exponential(1, (len(STATIC), causal)) * rng.choice([-1, 1], (len(STATIC), causal))
    frequencies = np.array([v.frequency for v in variants[: effects.size]]).reshape(effects.shape)
    variance = (2 * frequencies * (1 - frequencies) * effects**2).sum(1, keepdims=True)
    scaled: Matrix = effects * np.sqrt(HERITABILITY / variance)
    return scaled.ravel()
