"""What a study of variance over many models found, in sentences that say no more than was found."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from disentangle_pl.studies.labels import short_score
from disentangle_pl.studies.variance_study_effects import DATA_SETS, FACTORS, INTERACTION, RUNS
from disentangle_pl.studies.variance_study_measures import OF_RUNS

SURE = 0.05
FEW_SETS = 10
CONSISTENCY = ("amount_consistency", "direction_consistency", "local_alignment")


class Claim(NamedTuple):
    """Something that may turn out true or not.

    Attributes:
        text: In a few words.
        measures: Which should move the outcomes.
        sign: 1 if the outcomes should rise with the measures, -1 if they should fall.
        levels: Where it is tested.
        outcomes: Which measures of codes; empty for all scores.
    """

    text: str
    measures: tuple[str, ...]
    sign: int
    levels: tuple[str, ...] = (DATA_SETS, FACTORS)
    outcomes: tuple[str, ...] = ()


CLAIMS = (
    Claim("Factors of unequal amounts of variance are better disentangled", ("log_gap",), 1),
    Claim("Variance that is the same everywhere helps", CONSISTENCY, 1),
    Claim("Inconsistent variance brings entangled axes", CONSISTENCY, -1, outcomes=("axis_spread",)),
    Claim(
        "Inconsistent variance brings inconsistent encodings",
        CONSISTENCY,
        -1,
        outcomes=("encoding_inconsistency", "switching"),
    ),
    Claim("Models with globally ordered latents lose more by inconsistency", CONSISTENCY, 1, (INTERACTION,)),
    Claim("Runs whose encodings are inconsistent score less", ("encoding_inconsistency", "switching"), -1, (RUNS,)),
)


def counted(runs: pd.DataFrame, given: int) -> str:
    """Say how much was trained.

    Args:
        runs: As `arrange_runs` returns them.
        given: How many runs were given.
    """
    seconds = runs["seconds"].sum()
    return (
        f"{len(runs)} models ({given - len(runs)} more runs did not finish with these scores): "
        f"{runs['data_set'].nunique()} data sets, {runs['model'].nunique()} methods, "
        f"{runs.groupby(['model', 'strength'], dropna=False).ngroups} settings, {runs['seed'].nunique()} seeds; "
        f"{seconds / 3600:.2f} hours of training on the machines they ran on"
    )


def findings(effects: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Say of every claim whether it was found, and of what size.

    Args:
        effects: As `effects` returns them.
        runs: As `arrange_runs` returns them.
    """
    said = [f"{claim.text}: {_verdict(effects[_tests(effects, claim)], claim.sign)}" for claim in CLAIMS]
    sets = runs["data_set"].nunique()
    if sets < FEW_SETS:
        said.append(
            f"{sets} data sets are few: they differ in more than what was measured, and an effect over data sets is an "
            "association"
        )
    return said


def rank_sentences(ranks: pd.DataFrame) -> list[str]:
    """Say which rank correlations are beyond chance, of how many."""
    sure = ranks[ranks["p"] < SURE]
    said = [
        f"{row['data_set']}, {row['model']}: {short_score(row['score'])} {'rises' if row['rho'] > 0 else 'falls'} with "
        f"{row['with'].replace('_', ' ')} (Spearman {row['rho']:.2f}, n = {row['n']}, permutation p {row['p']:.2g}, "
        "not corrected)"
        for row in sure.to_dict("records")
    ]
    chance = (
        f"{len(sure)} of {len(ranks)} rank correlations have p < {SURE}; chance alone gives {SURE * len(ranks):.1f}"
    )
    return [chance, *said] if len(ranks) else []


def _tests(effects: pd.DataFrame, claim: Claim) -> pd.Series:
    wanted = effects["measure"].isin(claim.measures) & effects["level"].isin(claim.levels)
    of_codes = effects["outcome"].isin(list(OF_RUNS))
    mine: pd.Series = wanted & (effects["outcome"].isin(claim.outcomes) if claim.outcomes else ~of_codes)
    return mine


def _verdict(tests: pd.DataFrame, sign: int) -> str:
    done = tests[tests["slope"].notna()]
    if done.empty:
        reasons = list(dict.fromkeys(tests["note"])) or ["these measures were not given"]
        return f"not tested ({'; '.join(reasons)})"
    sure = done[done["p"] < SURE]
    for_it, against = int((sign * sure["slope"] > 0).sum()), int((sign * sure["slope"] < 0).sum())
    words = {(True, False): "found", (False, True): "the opposite was found", (True, True): "found and contradicted"}
    verdict = words.get((for_it > 0, against > 0), "not found beyond chance")
    shown = (sure if len(sure) else done).sort_values("p").head(3)
    return (
        f"{verdict} (of {len(done)} tests {for_it} for it and {against} against it at p < {SURE} after Holm; "
        f"{'; '.join(_shown(row) for row in shown.to_dict('records'))})"
    )


def _shown(row: dict[Hashable, Any]) -> str:
    measure, units = str(row["measure"]).replace("_", " "), _unit(str(row["level"]))
    return (
        f"{short_score(str(row['outcome']))} {row['slope']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] for a "
        f"standard deviation of {measure}, over {row['units']} {units}, p {row['p']:.2g}"
    )


def _unit(level: str) -> str:
    return DATA_SETS if level == INTERACTION else level


def lines(title: str, sentences: Sequence[str]) -> list[str]:
    """Return a section of Markdown, none if there is nothing to say."""
    return ["", f"## {title}", "", *(f"- {sentence}." for sentence in sentences)] if sentences else []
