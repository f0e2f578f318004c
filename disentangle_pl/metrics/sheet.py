"""The score sheet: every score of one table of codes, each beside what chance, a rotation and a perfect code score.

The codes are encoded once; the first two thirds of the rows are scored and train the probes, the last third tests them.
With 15,000 rows these are the 10,000 and 5,000 points of Locatello et al. 2019 (arXiv:1811.12359).
"""

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import NamedTuple, TypeAlias

import torch

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.beta_vae_score import beta_vae_score
from disentangle_pl.metrics.dci import dci_scores
from disentangle_pl.metrics.dci_es import dci_es
from disentangle_pl.metrics.dcimig import dcimig
from disentangle_pl.metrics.explicitness import explicitness
from disentangle_pl.metrics.factor_vae_score import factor_vae_score
from disentangle_pl.metrics.infomec import infomec
from disentangle_pl.metrics.irs import irs
from disentangle_pl.metrics.jemmig import jemmig
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.mig_sup import mig_sup
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.null import mig_corrected, modularity_corrected
from disentangle_pl.metrics.polarised import spread_latents
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Checked, Codes, Factors, Score, Split, train_test
from disentangle_pl.metrics.unsupervised import dependence

Entry: TypeAlias = Callable[[Checked, Checked], Mapping[str, float]]


class Line(NamedTuple):
    """One line of the sheet.

    Attributes:
        name: The score.
        value: Its value for the codes.
        floor: Its value for codes of independent normal noise; NaN where it is not known.
        rotated: Its value for perfect codes under a random rotation; NaN where it is not known.
        ceiling: Its value for perfect codes; NaN where it is not known, as with fewer latents than factors.
    """

    name: str
    value: float
    floor: float
    rotated: float
    ceiling: float


class Scored(NamedTuple):
    """The scores of one table of codes.

    Attributes:
        values: Every score by name.
        seconds: How long each entry of the sheet took.
        refused: Why an entry could not be computed, by its name.
    """

    values: dict[str, float]
    seconds: dict[str, float]
    refused: dict[str, str]


def alone(name: str, score: Score) -> Entry:
    """Make an entry of a score that needs no test rows."""
    return lambda train, test: {name: score(*train)}


def _sap(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"sap": sap(*train, test=test)}


def _dci(train: Checked, test: Checked) -> Mapping[str, float]:
    scores = dci_scores(*train, test=test)
    return {
        "dci_disentanglement": scores.disentanglement,
        "dci_completeness": scores.completeness,
        "dci_informativeness": scores.informativeness_test,
    }


def _explicitness(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"explicitness": explicitness(*train, test=test)}


def _beta_vae(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"beta_vae_score": beta_vae_score(*train, test=test)}


def _factor_vae(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"factor_vae_score": factor_vae_score(*train, test=test)}


def _corrected(train: Checked, test: Checked) -> Mapping[str, float]:
    modular = modularity_corrected(*train)
    return {
        "modularity_corrected": modular.score,
        "mig_corrected": mig_corrected(*train).score,
        "informative_latents": modular.informative,
    }


def _infomec(train: Checked, test: Checked) -> Mapping[str, float]:
    scores = infomec(*train)
    return {"infom": scores.infom, "infoc": scores.infoc, "infoe": scores.infoe}


def _dci_es(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"dci_es_explicitness": dci_es(*train, test=test).explicitness}


def _dependence(train: Checked, test: Checked) -> Mapping[str, float]:
    found = dependence(train[0])
    return {
        "total_correlation": found.total_correlation,
        "wasserstein_correlation": found.wasserstein_correlation,
        "wasserstein_correlation_normalised": found.wasserstein_correlation_normalised,
        "code_information": found.mutual_information,
    }


def _active(train: Checked, test: Checked) -> Mapping[str, float]:
    return {"active_units": float(spread_latents(torch.from_numpy(train[0])).sum())}


QUICK: dict[str, Entry] = {
    "mig": alone("mig", mig),
    "modularity": alone("modularity", modularity),
    "sap": _sap,
    "active": _active,
}
ALL: dict[str, Entry] = QUICK | {
    "dci": _dci,
    "corrected": _corrected,
    "mig_sup": alone("mig_sup", mig_sup),
    "jemmig": alone("jemmig", jemmig),
    "dcimig": alone("dcimig", dcimig),
    "mcc": alone("mcc", mcc),
    "irs": alone("irs", irs),
    "beta_vae": _beta_vae,
    "factor_vae": _factor_vae,
    "explicitness": _explicitness,
    "infomec": _infomec,
    "dci_es": _dci_es,
    "dependence": _dependence,
}


def chosen(names: Iterable[str]) -> dict[str, Entry]:
    """Return the named entries of the sheet, in its order.

    Raises:
        InputError: If it has no such entry.
    """
    wanted = set(names)
    if unknown := sorted(wanted - set(ALL)):
        raise InputError(f"the score sheet has no entry {unknown[0]!r}: it has {', '.join(ALL)}")
    return {name: entry for name, entry in ALL.items() if name in wanted}


def score_codes(
    codes: Codes, factors: Factors, entries: Iterable[tuple[str, Entry]], *, test: Split | None = None
) -> Scored:
    """Compute the entries of a sheet.

    A score that refuses the input is left out with its reason, so that one factor too few does not cost the others.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `score.ground_truth`.
        entries: Names and entries, as `ALL.items()`.
        test: Codes (M, d) and factors (M, k) for the probes, or None for the last third of the rows.

    Returns:
        The scores.

    Raises:
        InputError: If the codes or factors fail `score.check`.
    """
    train, held_out = train_test(codes, factors, test)
    done = Scored({}, {}, {})
    for name, entry in entries:
        start = perf_counter()
        try:
            done.values.update(entry(train, held_out))
        except InputError as error:
            done.refused[name] = str(error)
        done.seconds[name] = perf_counter() - start
    return done
