"""How likely a study of this size finds an effect, and whether it found those that were planted."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Values

SHARES = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)


def power(people: int, explained: Values, level: float) -> Values:
    """Return the chance (m,) that a variant that explains these shares of the variance has a p below `level`.

    Source: Sham & Purcell 2014, Nature Reviews Genetics 15:335: chi-squared of one degree of freedom with
        non-centrality N q / (1 - q).

    Args:
        people: N, less the covariates.
        explained: (m,) shares q in [0, 1) of the variance that covariates leave.
        level: Threshold.
    """
    reach, shift = special.ndtri(level / 2), np.sqrt(people * explained / (1 - explained))
    return np.asarray(special.ndtr(reach + shift) + special.ndtr(reach - shift), np.float64)


def explained_at(people: int, chance: float, level: float) -> float:
    """Return the share of the variance at which `power` is this chance, which is far above the level."""
    shift = (special.ndtri(chance) - special.ndtri(level / 2)) ** 2
    return float(shift / (people + shift))


def power_table(people: int, levels: dict[str, float]) -> pd.DataFrame:
    """Tabulate the power for shares of the variance, one column a threshold, and the effect an allele at frequency 0.3.

    Args:
        people: Less the covariates.
        levels: Thresholds by name.
    """
    explained = np.array(SHARES)
    table = pd.DataFrame({"explained": explained, "beta_at_frequency_0.3": np.sqrt(explained / (2 * 0.3 * 0.7))})
    return table.assign(**{name: power(people, explained, level) for name, level in levels.items()})


def read_planted(path: Path) -> pd.DataFrame:
    """Read planted effects: columns snp, factor, frequency and effect_sd, of the variants that act on something.

    Raises:
        InputError: If a column is missing or no number, or nothing is planted.
    """
    tables = import_module("disentangle_pl.brain.tables")  # loads torch, for which no study without truth is to wait
    table = tables.read_table(path, ["snp", "factor", "frequency", "effect_sd"])
    planted = pd.DataFrame(
        {
            "id": table["snp"],
            "factor": table["factor"],
            "frequency": tables.numbers(table, "frequency", path),
            "effect": tables.numbers(table, "effect_sd", path),
        }
    )
    planted = planted[planted["factor"].notna() & (planted["effect"].abs() > 0)].reset_index(drop=True)
    if planted.empty:
        raise InputError(
            f"{path} has no variant with a factor and an effect: give truth_snps.tsv of a simulated cohort"
        )
    return planted


def expected_finds(planted: pd.DataFrame, people: int, levels: dict[str, float]) -> pd.DataFrame:
    """Add `explained`, and the power of a phenotype that is the factor itself, in a column `power_*` a threshold.

    Args:
        planted: Of `read_planted`.
        people: Less the covariates.
        levels: Thresholds by name.
    """
    frequency = planted["frequency"].to_numpy(np.float64)
    explained = 2 * frequency * (1 - frequency) * planted["effect"].to_numpy(np.float64) ** 2
    explained = np.minimum(explained, 0.99)
    chances = {f"power_{name}": power(people, explained, level) for name, level in levels.items()}
    return planted.assign(explained=explained, **chances)


def planted_by_factor(planted: pd.DataFrame, levels: dict[str, float]) -> pd.DataFrame:
    """Sum up a row a factor: variants `planted` and `tested`, and `expected_*` and `found_*` of them a threshold.

    Args:
        planted: Of `expected_finds`, with neg_log10_p: the largest over the phenotypes, NaN where not tested.
        levels: Thresholds by name.
    """
    tested = planted["neg_log10_p"].notna()
    columns = {"planted": np.ones(len(planted), dtype=np.int64), "tested": tested.astype("int64")}
    for name, level in levels.items():
        columns[f"expected_{name}"] = planted[f"power_{name}"].where(tested, 0.0)
        columns[f"found_{name}"] = (planted["neg_log10_p"] >= -np.log10(level)).astype("int64")
    return pd.DataFrame(columns).groupby(planted["factor"], sort=True).sum().reset_index()
