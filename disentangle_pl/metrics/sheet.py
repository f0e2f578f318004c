"""The score sheet: every score of one table of codes, each beside what chance, a rotation and a perfect code score.

The codes are encoded once; a random two thirds of the rows are scored and train the probes, the other third tests them;
where groups such as people are known, these are split. With 15,000 rows these are the 10,000 and 5,000 points of
Locatello et al. 2019 (arXiv:1811.12359).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.beta_vae_score import beta_vae_score
from disentangle_pl.metrics.boosting import boost
from disentangle_pl.metrics.dci import DCI, dci_scores
from disentangle_pl.metrics.dci_es import dci_es
from disentangle_pl.metrics.dci_probes import dci_forest, dci_lasso
from disentangle_pl.metrics.dcimig import dcimig
from disentangle_pl.metrics.downstream import (
    SIZES,
    Probe,
    downstream,
    linear_probes,
    reduced_downstream,
    strong_downstream,
)
from disentangle_pl.metrics.explicitness import explicitness
from disentangle_pl.metrics.factor_vae_score import factor_vae_score
from disentangle_pl.metrics.hfs import hfs
from disentangle_pl.metrics.infomec import infomec
from disentangle_pl.metrics.infomec_discrete import infomec_discrete
from disentangle_pl.metrics.information import discretise, entropy, even_codes
from disentangle_pl.metrics.irs import irs
from disentangle_pl.metrics.jemmig import jemmig
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.mig_knn import mig_knn
from disentangle_pl.metrics.mig_sup import mig_sup
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.null import Corrected, corrected_information, gap_of, modularity_of
from disentangle_pl.metrics.omes import omes
from disentangle_pl.metrics.polarised import spread_latents
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import (
    Checked,
    Codes,
    CodesLike,
    Factors,
    Score,
    Split,
    check_codes,
    train_test,
    varying,
)
from disentangle_pl.metrics.tad import tad
from disentangle_pl.metrics.unfairness import unfairness
from disentangle_pl.metrics.unsupervised import dependence
from disentangle_pl.metrics.z_max_variance import z_max_variance

Lines: TypeAlias = Mapping[str, float]
CROWDED = 0.9  # share of rows in one of 20 bins from which equal bins say little of a latent
BINNED = frozenset({"mig", "modularity", "corrected", "mig_sup", "jemmig", "dcimig"})
# counts, and measures of which less is better or more is only more dependent
OTHER_SCALES = ("correlation", "information", "latents", "latents_active", "units", "unfairness", "hfs")
# of the reference codes of DCI; for the factors of dSprites perfect codes keep their 1, noise moves by less than .001
# and rotations by up to .015
REFERENCE_LEVELS, REFERENCE_ROWS, REFERENCE_ERROR = 128, 5_000, 0.02
APPROXIMATE = frozenset({"dci_disentanglement", "dci_completeness", "dci_informativeness"})
ABOUT = (
    f"From {REFERENCE_ROWS:,} rows on, floor, rotation and ceiling of DCI are computed on {REFERENCE_LEVELS} levels of "
    f"every latent: a distance from them below {REFERENCE_ERROR:g} says nothing."
)
UNITS = (0.2, 5.0)  # standard deviation of the widest latent of a VAE


@dataclass(frozen=True)
class Entry:
    """An entry of the sheet: what computes one line or several.

    Attributes:
        score: The function that is scored with, whose code decides how long floors and ceilings are remembered.
        compute: Maps the rows to fit on and those to score on to the lines.
        reference: The same for noise, rotated and perfect codes, where a faster way comes close; None for none.
    """

    score: Callable[..., Any]
    compute: Callable[[Checked, Checked], Lines]
    reference: Callable[[Checked, Checked], Lines] | None = None

    def __call__(self, train: Checked, test: Checked) -> Lines:
        """Compute the lines of the entry."""
        return self.compute(train, test)


class Ends(NamedTuple):
    """The mean and the range of a score over draws of codes; NaN where it is not known."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan


class Line(NamedTuple):
    """One line of the sheet.

    Attributes:
        name: The score.
        value: Its value for the codes.
        floor: Its mean for draws of codes of independent normal noise, of one draw a group where groups are known; NaN
            where it is not known.
        rotated: Its mean for perfect codes under random rotations; NaN where it is not known.
        ceiling: Its value for perfect codes; NaN where it is not known, as with fewer latents than factors.
        floor_low: The smallest of the floors.
        floor_high: The largest of the floors.
        rotated_low: The smallest of the rotated codes.
        rotated_high: The largest of the rotated codes.
    """

    name: str
    value: float
    floor: float = math.nan
    rotated: float = math.nan
    ceiling: float = math.nan
    floor_low: float = math.nan
    floor_high: float = math.nan
    rotated_low: float = math.nan
    rotated_high: float = math.nan

    @property
    def high_chance(self) -> bool:
        """Whether noise reaches more than a quarter of what perfect codes do, so that the value says little alone."""
        return not self.name.endswith(OTHER_SCALES) and self.floor > 0.25 * self.ceiling

    @property
    def cost_of_rotation(self) -> float:
        """Return which share of the scale from noise to perfect codes a rotation costs.

        NaN where there is no scale, and where the difference could come from the levels that floor, rotation and
        ceiling of DCI are computed on.
        """
        scale, loss = self.ceiling - self.floor, self.ceiling - self.rotated
        if not scale >= 0.05 or (self.name in APPROXIMATE and abs(loss) < REFERENCE_ERROR):
            return math.nan
        return loss / scale


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
    return Entry(score, lambda train, test: {name: score(*train)})


def tested(name: str, score: Callable[..., float]) -> Entry:
    """Make an entry of a score that is fitted on some rows and tested on others."""
    return Entry(score, lambda train, test: {name: score(*train, test=test)})


def _dci(train: Checked, test: Checked, levels: int | None = None) -> Lines:
    scores = dci_scores(*train, test=test, levels=levels)
    return {
        "dci_disentanglement": scores.disentanglement,
        "dci_completeness": scores.completeness,
        "dci_informativeness": scores.informativeness_test,
    }


def _dci_reference(train: Checked, test: Checked) -> Lines:
    """Score noise, rotated or perfect codes; of fewer rows trees find every cut in no time."""
    return _dci(train, test, levels=REFERENCE_LEVELS if len(train[0]) >= REFERENCE_ROWS else None)


def _dci_with(name: str, fit: Callable[..., DCI]) -> Entry:
    def compute(train: Checked, test: Checked) -> Lines:
        scores = fit(*train, test=test)
        return {
            f"{name}_disentanglement": scores.disentanglement,
            f"{name}_completeness": scores.completeness,
            f"{name}_informativeness": scores.informativeness_test,
        }

    return Entry(fit, compute)


def _downstream(name: str, probe: Probe) -> Entry:
    def compute(train: Checked, test: Checked) -> Lines:
        scores = downstream(*train, probe=probe, test=test)
        lines = {f"{name}_{size}": float(mean) for size, mean in zip(SIZES, scores.mean, strict=True)}
        lines[f"{name}_efficiency"] = scores.efficiency()
        return {line: value for line, value in lines.items() if not math.isnan(value)}

    return Entry(downstream, compute)


def _strong_downstream(train: Checked, test: Checked) -> Lines:
    scores = strong_downstream(*train, test=test)
    return {"downstream_strong": scores.strong, "downstream_strong_gap": scores.gap}


def _reduced_downstream(train: Checked, test: Checked) -> Lines:
    scores = reduced_downstream(*train, test=test)
    return {"downstream_reduced": scores.reduced, "downstream_reduced_others": scores.others}


def _spread(codes: Codes) -> NDArray[np.bool_]:
    active: NDArray[np.bool_] = spread_latents(torch.from_numpy(codes.astype(np.float64))).numpy()
    return active


def _modularity(train: Checked, test: Checked) -> Lines:
    codes, truth = train
    active = codes[:, _spread(codes)]
    return {
        "modularity": modularity(codes, truth),
        "modularity_active": modularity(active, truth) if active.shape[1] else 0.0,
    }


def _corrected(train: Checked, test: Checked) -> Lines:
    codes, truth = train
    truth = truth.columns(varying(truth, least=2))
    information = corrected_information(codes, truth)
    active = _spread(codes)
    modular = modularity_of(information)
    modular_active = modularity_of(information[active]) if active.any() else Corrected(0.0, 0.0)
    gaps = {"mig_corrected": gap_of(information, entropy(truth.labels())).score} if codes.shape[1] > 1 else {}
    return {
        "modularity_corrected": modular.score,
        "modularity_corrected_active": modular_active.score,
        **gaps,
        "informative_latents": modular.informative,
        "informative_latents_active": modular_active.informative,
    }


def _infomec(train: Checked, test: Checked) -> Lines:
    scores = infomec(*train)
    return {"infom": scores.infom, "infoc": scores.infoc, "infoe": scores.infoe}


def _infomec_discrete(train: Checked, test: Checked) -> Lines:
    scores = infomec_discrete(*train)
    return {"infom_discrete": scores.infom, "infoc_discrete": scores.infoc, "infoe_discrete": scores.infoe}


def _tad(train: Checked, test: Checked) -> Lines:
    scores = tad(*train)
    return {"tad": scores.total, "tad_captured": float(scores.captured)}


def _dci_es(train: Checked, test: Checked) -> Lines:
    return {"dci_es_explicitness": dci_es(*train, test=test).explicitness}


def _dependence(train: Checked, test: Checked) -> Lines:
    measured = dependence(train[0])
    return {
        "total_correlation": measured.total_correlation,
        "wasserstein_correlation": measured.wasserstein_correlation,
        "wasserstein_correlation_normalised": measured.wasserstein_correlation_normalised,
        "code_information": measured.mutual_information,
    }


def _active(train: Checked, test: Checked) -> Lines:
    return {"active_units": float(_spread(train[0]).sum())}


QUICK: dict[str, Entry] = {
    "mig": alone("mig", mig),
    "modularity": Entry(modularity, _modularity),
    "sap": tested("sap", sap),
    "active": Entry(spread_latents, _active),
}
ALL: dict[str, Entry] = QUICK | {
    "dci": Entry(dci_scores, _dci, _dci_reference),
    "corrected": Entry(corrected_information, _corrected),
    "mig_sup": alone("mig_sup", mig_sup),
    "jemmig": alone("jemmig", jemmig),
    "dcimig": alone("dcimig", dcimig),
    "mcc": alone("mcc", mcc),
    "irs": alone("irs", irs),
    "beta_vae": tested("beta_vae_score", beta_vae_score),
    "factor_vae": tested("factor_vae_score", factor_vae_score),
    "explicitness": tested("explicitness", explicitness),
    "infomec": Entry(infomec, _infomec),
    "dci_es": Entry(dci_es, _dci_es),
    "dependence": Entry(dependence, _dependence),
}
# Slow, for special data, or of special interest: computed where they are named.
MORE: dict[str, Entry] = {
    "unfairness": tested("unfairness", unfairness),
    "downstream_trees": _downstream("downstream_trees", boost),
    "downstream_linear": _downstream("downstream_linear", linear_probes),
    "downstream_strong": Entry(strong_downstream, _strong_downstream),
    "downstream_reduced": Entry(reduced_downstream, _reduced_downstream),
    "hfs": alone("hfs", hfs),
    "mig_knn": alone("mig_knn", mig_knn),
    "dci_lasso": _dci_with("dci_lasso", dci_lasso),
    "dci_forest": _dci_with("dci_forest", dci_forest),
    "infomec_discrete": Entry(infomec_discrete, _infomec_discrete),
    "z_max_variance": tested("z_max_variance", z_max_variance),
    "tad": Entry(tad, _tad),
    "omes": alone("omes", omes),
}


def with_even_bins(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Let the entries that cut latents into bins cut them into bins of equally many rows, not of equal width."""

    def even(entry: Entry) -> Entry:
        return Entry(entry.score, lambda train, test: entry((even_codes(train[0]), train[1]), test))

    return {name: even(entry) if name in BINNED else entry for name, entry in entries.items()}


def cautions(codes: CodesLike) -> list[str]:
    """Say what in a table of codes makes its scores hard to read: other units than a VAE's, and rows far from the rest.

    Args:
        codes: (N, d).

    Raises:
        InputError: If the codes fail `check_codes`.
    """
    table = check_codes(codes).astype(np.float64)
    lines, spread = [], float(table.std(axis=0).max())
    if spread and not UNITS[0] <= spread <= UNITS[1]:
        lines.append(
            f"the widest latent has a standard deviation of {spread:.3g}: sap, beta_vae_score, factor_vae_score and "
            "active_units depend on the units of the codes, and their floors and ceilings are those of unit variance; "
            "--standardise=true divides all codes by it"
        )
    crowded = [j for j, column in enumerate(table.T) if _crowded(column)]
    if crowded:
        centre = np.median(table[:, crowded], axis=0)
        far = np.argsort(-np.abs(table[:, crowded] - centre).max(axis=1))[:3]
        lines.append(
            f"latents {crowded} have over {CROWDED:.0%} of their rows in one of 20 equal bins, because a few rows lie "
            f"far from the others (the farthest: rows {sorted(far.tolist())}), so that mig, modularity and the other "
            "scores of mutual information see little: check these rows, or give --bins=quantile"
        )
    return lines


def _crowded(column: NDArray[np.float64]) -> bool:
    bins = discretise(column[:, None])[:, 0]
    fullest = bins == np.bincount(bins).argmax()
    return bool(fullest.mean() > CROWDED and np.ptp(column[fullest]) > 0)


def chosen(names: Iterable[str]) -> dict[str, Entry]:
    """Return the named entries of `ALL` and `MORE`, in their order.

    Raises:
        InputError: If there is no such entry.
    """
    selection, entries = set(names), ALL | MORE
    if unknown := sorted(selection - set(entries)):
        raise InputError(f"the score sheet has no entry {unknown[0]!r}: it has {', '.join(entries)}")
    return {name: entry for name, entry in entries.items() if name in selection}


def score_codes(
    codes: CodesLike, factors: Factors, entries: Iterable[tuple[str, Entry]], *, test: Split | None = None
) -> Scored:
    """Compute the entries of a sheet.

    A score that refuses the input is left out with its reason, so that one factor too few does not cost the others.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `score.ground_truth`.
        entries: Names and entries, as `ALL.items()`.
        test: Codes (M, d) and factors (M, k) for the probes, or None for a random third of the rows.

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
