"""Scores of disentanglement: functions of codes and factors, and the same as metrics of torchmetrics.

Every function takes codes (N, d) and factors (N, k) as arrays, tensors of any device and type, frames or lists: whole
numbers, bools and words are classes, floats are quantities, NaN is missing. `GroundTruth` says so where the types do
not, and whose row every row is. `full_sheet` computes all scores beside their floors and ceilings, as
`disentangle-pl evaluate` does. Read `score.py` first, then `mig.py`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disentangle_pl.metrics.beta_vae_score import beta_vae_score as beta_vae_score
    from disentangle_pl.metrics.dci import dci_completeness as dci_completeness
    from disentangle_pl.metrics.dci import dci_disentanglement as dci_disentanglement
    from disentangle_pl.metrics.dci import dci_informativeness as dci_informativeness
    from disentangle_pl.metrics.dci import dci_scores as _dci
    from disentangle_pl.metrics.dci_es import dci_es as dci_es
    from disentangle_pl.metrics.dci_probes import dci_forest as dci_forest
    from disentangle_pl.metrics.dci_probes import dci_lasso as dci_lasso
    from disentangle_pl.metrics.dcimig import dcimig as dcimig
    from disentangle_pl.metrics.downstream import downstream as downstream
    from disentangle_pl.metrics.downstream import linear_probes as linear_probes
    from disentangle_pl.metrics.downstream import reduced_downstream as reduced_downstream
    from disentangle_pl.metrics.downstream import strong_downstream as strong_downstream
    from disentangle_pl.metrics.explicitness import explicitness as explicitness
    from disentangle_pl.metrics.factor_vae_score import factor_vae_score as factor_vae_score
    from disentangle_pl.metrics.hfs import hfs as hfs
    from disentangle_pl.metrics.infomec import infomec as infomec
    from disentangle_pl.metrics.infomec_discrete import infomec_discrete as infomec_discrete
    from disentangle_pl.metrics.irs import irs as irs
    from disentangle_pl.metrics.jemmig import jemmig as jemmig
    from disentangle_pl.metrics.mcc import mcc as mcc
    from disentangle_pl.metrics.mig import mig as mig
    from disentangle_pl.metrics.mig_knn import mig_knn as mig_knn
    from disentangle_pl.metrics.mig_sup import mig_sup as mig_sup
    from disentangle_pl.metrics.modularity import modularity as modularity
    from disentangle_pl.metrics.null import mig_corrected as mig_corrected
    from disentangle_pl.metrics.null import modularity_corrected as modularity_corrected
    from disentangle_pl.metrics.omes import omes as omes
    from disentangle_pl.metrics.references import full_sheet as full_sheet
    from disentangle_pl.metrics.sap import sap as sap
    from disentangle_pl.metrics.score import GroundTruth as GroundTruth
    from disentangle_pl.metrics.score import ground_truth as ground_truth
    from disentangle_pl.metrics.tad import tad as tad
    from disentangle_pl.metrics.torch_metrics import DCIMIG as DCIMIG
    from disentangle_pl.metrics.torch_metrics import HFS as HFS
    from disentangle_pl.metrics.torch_metrics import IRS as IRS
    from disentangle_pl.metrics.torch_metrics import JEMMIG as JEMMIG
    from disentangle_pl.metrics.torch_metrics import MCC as MCC
    from disentangle_pl.metrics.torch_metrics import MIG as MIG
    from disentangle_pl.metrics.torch_metrics import MIGKNN as MIGKNN
    from disentangle_pl.metrics.torch_metrics import OMES as OMES
    from disentangle_pl.metrics.torch_metrics import SAP as SAP
    from disentangle_pl.metrics.torch_metrics import DCICompleteness as DCICompleteness
    from disentangle_pl.metrics.torch_metrics import DCIDisentanglement as DCIDisentanglement
    from disentangle_pl.metrics.torch_metrics import DCIInformativeness as DCIInformativeness
    from disentangle_pl.metrics.torch_metrics import Explicitness as Explicitness
    from disentangle_pl.metrics.torch_metrics import FactorVAEScore as FactorVAEScore
    from disentangle_pl.metrics.torch_metrics import MIGSup as MIGSup
    from disentangle_pl.metrics.torch_metrics import Modularity as Modularity
    from disentangle_pl.metrics.torch_metrics import ScoreMetric as ScoreMetric
    from disentangle_pl.metrics.torch_metrics import Unfairness as Unfairness
    from disentangle_pl.metrics.torch_metrics import ZMaxVariance as ZMaxVariance
    from disentangle_pl.metrics.unfairness import unfairness as unfairness
    from disentangle_pl.metrics.z_max_variance import z_max_variance as z_max_variance

    dci = _dci

_MODULES = {
    "dci_forest": "dci_probes",
    "dci_lasso": "dci_probes",
    "downstream": "downstream",
    "linear_probes": "downstream",
    "reduced_downstream": "downstream",
    "strong_downstream": "downstream",
    "hfs": "hfs",
    "infomec_discrete": "infomec_discrete",
    "mig_knn": "mig_knn",
    "omes": "omes",
    "tad": "tad",
    "unfairness": "unfairness",
    "z_max_variance": "z_max_variance",
    "HFS": "torch_metrics",
    "MIGKNN": "torch_metrics",
    "OMES": "torch_metrics",
    "Unfairness": "torch_metrics",
    "ZMaxVariance": "torch_metrics",
    "beta_vae_score": "beta_vae_score",
    "dci": "dci",
    "dci_completeness": "dci",
    "dci_disentanglement": "dci",
    "dci_informativeness": "dci",
    "dci_es": "dci_es",
    "dcimig": "dcimig",
    "explicitness": "explicitness",
    "factor_vae_score": "factor_vae_score",
    "infomec": "infomec",
    "irs": "irs",
    "jemmig": "jemmig",
    "mcc": "mcc",
    "mig": "mig",
    "mig_sup": "mig_sup",
    "modularity": "modularity",
    "mig_corrected": "null",
    "modularity_corrected": "null",
    "full_sheet": "references",
    "sap": "sap",
    "GroundTruth": "score",
    "ground_truth": "score",
    "DCIMIG": "torch_metrics",
    "IRS": "torch_metrics",
    "JEMMIG": "torch_metrics",
    "MCC": "torch_metrics",
    "MIG": "torch_metrics",
    "SAP": "torch_metrics",
    "DCICompleteness": "torch_metrics",
    "DCIDisentanglement": "torch_metrics",
    "DCIInformativeness": "torch_metrics",
    "Explicitness": "torch_metrics",
    "FactorVAEScore": "torch_metrics",
    "MIGSup": "torch_metrics",
    "Modularity": "torch_metrics",
    "ScoreMetric": "torch_metrics",
}
__all__ = list(_MODULES)


class _Face(ModuleType):
    """The package with its scores as attributes.

    Importing `metrics.mig` makes the file an attribute of the package, under the name of its function; a `__getattr__`
    of the module is not asked then.
    """

    def __getattribute__(self, name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            return super().__getattribute__(name)
        return getattr(import_module(f"{__name__}.{module}"), "dci_scores" if name == "dci" else name)


sys.modules[__name__].__class__ = _Face
