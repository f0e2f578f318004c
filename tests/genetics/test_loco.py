"""Predictions by other chromosomes: what they do to t, and which files cannot be."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.loco import Loco, offset, read_loco
from tests.genetics.made import make, names

NAMES, OTHERS = ["z0", "z1"], ["a", "b", "c"]


def loco_file(path: Path, values: np.ndarray, people: list[str], chromosomes: list[str]) -> Path:
    rows = [
        " ".join([chromosome, *("NA" if np.isnan(x) else f"{x:.17g}" for x in row)])
        for chromosome, row in zip(chromosomes, values, strict=True)
    ]
    text = "\n".join([" ".join(["FID_IID", *(f"{name}_{name}" for name in people)]), *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def table(people: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"fid": people, "iid": people})


def test_t_is_that_of_the_offset_phenotype() -> None:
    made = make(people=90, variants=6, phenotypes=2, missing=0)
    made.phenotypes[:20, 1] = np.nan
    predicted = np.random.default_rng(1).standard_normal((90, 2)) + 0.02 * made.covariates[:, :1]
    plain = Scan(made.phenotypes, made.covariates, NAMES, OTHERS)
    found = Scan(offset(made.phenotypes, predicted, plain.scale), made.covariates, NAMES, OTHERS)(made.calls)
    for k in range(2):
        rows = ~np.isnan(made.phenotypes[:, k])
        design = sm.add_constant(made.covariates[rows])
        base = sm.OLS(made.phenotypes[rows, k], design).fit()
        scale = np.sqrt(base.ssr / base.df_resid)
        left = base.resid / scale - predicted[rows, k]
        for j in range(6):
            fit = sm.OLS(left, np.column_stack((design, made.calls[j, rows]))).fit()
            assert found.t[j, k] == pytest.approx(fit.tvalues[-1], rel=1e-9)
            assert found.beta[j, k] == pytest.approx(scale * fit.params[-1], rel=1e-9)


def test_taking_off_what_other_chromosomes_do_raises_t() -> None:
    rng = np.random.default_rng(2)
    calls = rng.binomial(2, 0.4, (1, 400)).astype(np.int8)
    others = 2 * rng.standard_normal(400)
    values = (0.3 * calls[0] + others + rng.standard_normal(400))[:, None]
    nothing = np.empty((400, 0))
    plain = Scan(values, nothing, ["z"])
    better = Scan(offset(values, others[:, None] / plain.scale, plain.scale), nothing, ["z"])(calls)
    only = Scan(values - others[:, None], nothing, ["z"])(calls)
    assert better.t[0, 0] == pytest.approx(only.t[0, 0], rel=1e-9)
    assert better.beta[0, 0] == pytest.approx(only.beta[0, 0], rel=1e-9)
    assert abs(better.t[0, 0]) > 1.5 * abs(plain(calls).t[0, 0])


def test_no_prediction_changes_nothing() -> None:
    made = make(people=80, variants=10, phenotypes=2)
    plain = Scan(made.phenotypes, made.covariates, NAMES, OTHERS)
    again = Scan(offset(made.phenotypes, np.zeros((80, 2)), plain.scale), made.covariates, NAMES, OTHERS)
    np.testing.assert_allclose(again(made.calls).t, plain(made.calls).t, rtol=1e-12)


def test_files_are_matched_to_people_and_phenotypes(tmp_path: Path) -> None:
    people = names(5)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 4))
    holes = values.copy()
    holes[1, 2] = np.nan
    loco_file(tmp_path / "s_1.loco", values, people[:4][::-1], ["chr1", "2"])
    loco_file(tmp_path / "s_2.loco.gz", holes, people[:4], ["1", "2"])
    (tmp_path / "pred.list").write_text(f"z_0 s_1.loco\nz1 {tmp_path}/s_2.loco.gz\n")
    loco = Loco(tmp_path / "pred.list", ["z 0", "z1"], ["1", "2"])
    known = loco.known(table(people), ["z 0", "z1"])
    assert known.tolist() == [[True, True], [True, True], [True, False], [True, True], [False, False]]
    found = loco.predictions("2", table(people), ["z 0", "z1"])
    np.testing.assert_allclose(found[:4, 0], values[1, ::-1])
    np.testing.assert_allclose(found[:4, 1], holes[1])
    assert np.isnan(found[4]).all()
    same = Loco(tmp_path / "pred.list", ["z1"], ["1"]).fingerprint()
    assert same != loco.fingerprint()
    with pytest.raises(InputError, match="has no predictions of z7, but of z_0; z1"):
        Loco(tmp_path / "pred.list", ["z7"], ["1"])
    with pytest.raises(InputError, match="no prediction for chromosome 3"):
        Loco(tmp_path / "pred.list", ["z1"], ["1", "3"])
    with pytest.raises(InputError, match="not unique here"):
        loco.known(pd.DataFrame({"fid": ["a_b", "a"], "iid": ["c", "b_c"]}), ["z1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FID IID\n1 2\n", "it is no .loco file"),
        ("FID_IID a_a\n", "it is no .loco file"),
        ("FID_IID a_a b_b\n1 0.5\n", "it is no .loco file"),
        ("FID_IID a_a\n1 much\n", "cannot be read as predictions"),
        ("", "cannot be read as predictions"),
        ("FID_IID a_a a_a\n1 1 2\n", "more than once"),
        ("FID_IID a_a\n1 1\n1 2\n", "more than once"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.loco"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_loco(path)


def test_lists_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Loco(tmp_path / "none.list", ["z"], ["1"])
    (tmp_path / "pred.list").write_text("z\n")
    with pytest.raises(InputError, match="is no list of phenotypes and files"):
        Loco(tmp_path / "pred.list", ["z"], ["1"])


def statistics_of_families(seed: int) -> list[float]:
    """Return the mean chi-squared of variants that act on nothing in siblings, without and with predictions."""
    rng, families, siblings, many = np.random.default_rng(seed), 50, 6, 300
    parents = rng.random((2, families, 2, 2, many)) < 0.3
    chosen = np.repeat(rng.integers(0, 2, (2, families * siblings, 2, many // 50)), 50, axis=3)
    parents = np.repeat(parents, siblings, axis=1)
    calls = np.take_along_axis(parents, chosen[:, :, :, None], axis=3)[:, :, :, 0].sum(axis=2)
    z = (calls[1] - calls[1].mean(axis=0)) / calls[1].std(axis=0)
    values = z @ rng.standard_normal(many)
    values = 2 * values / values.std() + rng.standard_normal(len(values))
    values = (values - values.mean()) / values.std()
    alike, fold, predicted = z @ z.T / many, rng.permutation(len(values)) % 5, np.zeros(len(values))
    for k in range(5):  # predictions of held-out people, as step 1 cross-validates them
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        weights = np.linalg.solve(alike[np.ix_(train, train)] + 0.25 * np.eye(len(train)), values[train])
        predicted[test] = alike[np.ix_(test, train)] @ weights
    plain = Scan(values[:, None], np.empty((len(values), 0)), ["z"])
    better = Scan(offset(values[:, None], predicted[:, None], plain.scale), np.empty((len(values), 0)), ["z"])
    return [float(np.nanmean(scan(calls[0].T.astype(np.int8)).t ** 2)) for scan in (plain, better)]


def test_predictions_take_off_what_relatives_inflate() -> None:
    plain, better = np.mean([statistics_of_families(seed) for seed in range(5)], axis=0)
    assert plain > 1.5
    assert better < 1.1
