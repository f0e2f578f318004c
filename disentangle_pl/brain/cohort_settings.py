"""What a simulated cohort is made from."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from disentangle_pl.brain.anatomy import Anatomy, count_anatomies, read_anatomy
from disentangle_pl.brain.template import mni_anatomy
from disentangle_pl.errors import InputError

MIN_SIZE, MAX_SIZE, MIN_GAP = 24, 192, 3  # voxels; months


@dataclass(frozen=True)
class Settings:
    """What a cohort is made from; the same settings make the same cohort.

    Args:
        subjects: People.
        seed: Of all random numbers.
        size: Voxels along every axis of a cube of 192 mm.
        visits: Planned months, from 0.
        anatomies: An .npz of anatomies, see `count_anatomies`; None for the MNI152 template.
        rescans: Share of the people with a second scan on the first day.
        snps: Variants, the two of APOE among them.

    Raises:
        InputError: If a number makes no sense.
    """

    subjects: int
    seed: int = 0
    size: int = 64
    visits: tuple[int, ...] = (0, 6, 12, 24, 36)
    anatomies: Path | None = None
    rescans: float = 0.0
    snps: int = 500

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("subjects", self.subjects, 1, 1_000_000),
            ("seed", self.seed, 0, 2**63 - 1),
            ("size", self.size, MIN_SIZE, MAX_SIZE),
            ("rescans", self.rescans, 0, 1),
            ("snps", self.snps, 2, 10_000_000),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} is {value}: it must be from {low} to {high}")
        gaps = [later - sooner for sooner, later in pairwise(self.visits)]
        if not self.visits or self.visits[0] != 0 or min(gaps, default=MIN_GAP) < MIN_GAP:
            raise InputError(f"visits are {list(self.visits)}: give months from 0 on, at least {MIN_GAP} apart")

    def count_anatomies(self) -> int:
        """Return how many anatomies there are.

        Raises:
            InputError: If the file of anatomies is wrong.
        """
        return count_anatomies(self.anatomies, self.size) if self.anatomies else 1

    def anatomy(self, base: int) -> Anatomy:
        """Make or read one anatomy.

        Raises:
            InputError: If the file of anatomies is wrong.
        """
        return read_anatomy(self.anatomies, base, self.size) if self.anatomies else mni_anatomy(self.size)

    def fingerprint(self) -> str:
        """Return the sha256 of the file of anatomies, "" without one."""
        return hashlib.sha256(self.anatomies.read_bytes()).hexdigest() if self.anatomies else ""
