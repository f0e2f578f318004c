"""Random numbers by name: any part of a simulated cohort can be drawn alone, in any order."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What is drawn; the numbers are part of every cohort ever made, so they never change."""

    PERSON = 1
    VISITS = 2
    BRAIN = 3
    SCAN = 4
    CLINIC = 5
    SCANNER = 6
    VARIANTS = 7
    GENOTYPES = 8


def sequence(seed: int, stream: Stream, *where: int) -> np.random.SeedSequence:
    """Name the numbers of one part: of a cohort `seed` and, say, a person and a visit."""
    return np.random.SeedSequence(seed, spawn_key=(int(stream), *where))


def draws(seed: int, stream: Stream, *where: int) -> np.random.Generator:
    """Return the generator of one part."""
    return np.random.Generator(np.random.PCG64(sequence(seed, stream, *where)))
