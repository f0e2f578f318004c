"""Latents as phenotypes: one value a person who was not trained on, with covariates of the visits."""

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import covariates_of, numbers_of
from disentangle_pl.studies.gwas_codes import phenotypes_from
from disentangle_pl.studies.scan_codes import ScanCodes

PEOPLE = ["sub-1", "sub-2", "sub-3", "sub-4"]


def scans() -> tuple[ScanCodes, pd.DataFrame]:
    """Three scans of each of four people; the first is trained on; latent 1 is dead."""
    years = np.tile([2.0, 0.0, 1.0], 4)
    person = np.repeat(np.arange(4), 3)
    codes = np.stack((person + years * (person + 1), np.full(12, 0.3), -years), axis=1)
    visits = pd.DataFrame({"participant_id": np.array(PEOPLE)[person], "years": years, "age": 70 + person + years})
    visits["sex"], visits["site"] = np.where(person % 2, "M", "F"), None
    known = pd.DataFrame({"age": visits["age"], "ml_icv": 1400.0 + 10 * person + years})
    return ScanCodes(torch.from_numpy(codes), visits, np.arange(3), np.arange(3, 12)), known


def test_one_value_of_everybody_who_was_not_trained_on() -> None:
    codes, known = scans()
    found = phenotypes_from(codes, known, "baseline", False)
    assert found.phenotypes.people["iid"].tolist() == PEOPLE[1:]
    names, values = numbers_of(found.phenotypes)
    assert names == ["z0", "z2"]
    np.testing.assert_allclose(values, [[1, 0], [2, 0], [3, 0]])
    assert found.covariates is not None
    names, values = covariates_of(found.covariates)
    assert names == ["age", "age2", "sex=M", "ml_icv"]
    np.testing.assert_allclose(values, [[-1, 1, 1, 1410], [0, 0, 0, 1420], [1, 1, 1, 1430]])
    assert any("1 people that the model was trained on are left out" in said for said in found.remarks)
    assert any("site" in said for said in found.remarks)


def test_means_and_slopes() -> None:
    codes, known = scans()
    found = phenotypes_from(codes, known, "mean", True)
    np.testing.assert_allclose(numbers_of(found.phenotypes)[1], [[1, -1], [3, -1], [5, -1], [7, -1]])
    assert found.covariates is not None
    np.testing.assert_allclose(covariates_of(found.covariates)[1][:, 3], [1401, 1411, 1421, 1431])
    assert any("**the model was trained on 1" in said for said in found.remarks)
    slopes = phenotypes_from(codes, known, "slope", True)
    np.testing.assert_allclose(numbers_of(slopes.phenotypes)[1], [[1, -1], [2, -1], [3, -1], [4, -1]])


def test_nothing_to_associate() -> None:
    codes, known = scans()
    with pytest.raises(InputError, match="all people are training people"):
        phenotypes_from(codes._replace(held_out=np.arange(0)), known, "mean", False)
    with pytest.raises(InputError, match="no latent of the model varies"):
        phenotypes_from(codes._replace(mean=torch.zeros(12, 3)), known, "mean", False)
