from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.pairing import RescanPairs
from disentangle_pl.brain.rescans import visit_rows
from disentangle_pl.brain.truth import scan_factors
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.callbacks.disentanglement import LogDisentanglement
from disentangle_pl.errors import InputError
from tests.brain.scans import anatomy, bids, keys, touch, write
from tests.models.tiny import tiny, trainer

SESSIONS = "session_id\tage\tMMSE\nses-M000\t70\t29\nses-M012\t71\t27\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two people with two visits; the first has two scans on the first day and one of another kind."""
    root = tmp_path / "cohort"
    names = [
        "sub-1/ses-M000/anat/sub-1_ses-M000_run-1_T1w.nii.gz",
        "sub-1/ses-M000/anat/sub-1_ses-M000_run-2_T1w.nii.gz",
    ]
    names += ["sub-1/ses-M000/anat/sub-1_ses-M000_acq-fast_run-3_T1w.nii.gz"]
    names += [f"sub-{who}/ses-M012/anat/sub-{who}_ses-M012_T1w.nii.gz" for who in (1, 2)]
    touch(root, *names, "sub-2/ses-M000/anat/sub-2_ses-M000_T1w.nii.gz")
    for who in (1, 2):
        (root / f"sub-{who}" / f"sub-{who}_sessions.tsv").write_text(SESSIONS)
    return root


def by_scan(root: Path, **columns: list[object]) -> Path:
    """Write truth.tsv with the scan of each path under the root, without those of run-3."""
    scans = sorted(path.relative_to(root).as_posix() for path in root.rglob("*_T1w.nii.gz") if "run-3" not in path.name)
    path = root / "truth.tsv"
    pd.DataFrame({"scan": scans, **columns}).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def test_further_runs_are_rows_of_the_same_visit(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert keys(read_visits(root)) == keys(find_visits(root).visits)
    with caplog.at_level("INFO"):
        visits = find_visits(root, rescans=True).visits
    sessions = ["ses-M000", "ses-M000_run-2", "ses-M012"]
    assert keys(visits) == [*(("sub-1", name) for name in sessions), ("sub-2", "ses-M000"), ("sub-2", "ses-M012")]
    assert "1 further runs of 1 visits" in caplog.text
    again = visits.iloc[1]
    assert Path(again["path"]).name == "sub-1_ses-M000_run-2_T1w.nii.gz"
    assert (again["age"], again["years"], again["entry_years"], again["mmse"]) == (70, 0, 0, 29)
    assert visit_rows(visits).tolist() == [True, False, True, True, True]
    (rows,) = RescanPairs()(visits)(8, torch.Generator().manual_seed(0))
    assert set(map(tuple, rows.tolist())) == {(0, 1)}


def test_rescans_are_read_back_from_the_table(root: Path, tmp_path: Path) -> None:
    visits = find_visits(root, rescans=True).visits
    visits[["participant_id", "session_id", "path"]].to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    again = find_visits(tmp_path / "scans.tsv", rescans=True).visits
    assert keys(again) == keys(visits)
    assert again["entry_years"].tolist() == [0, 0, 1, 0, 1]
    assert again["years"].tolist() == [0, 0, 1, 0, 1]


def test_truth_is_matched_by_scan_and_tells_rescans_apart(root: Path) -> None:
    visits = find_visits(root, rescans=True).visits
    truth = by_scan(root, gain=[0.1, 0.2, 0.3, 0.4, 0.5], scanner=list("ababa"))
    factors = scan_factors(visits, truth)
    assert list(factors.columns) == ["age", "years", "gain"], "a column of text is no factor"
    assert factors["gain"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    named = scan_factors(visits, truth, ["gain", "mmse"])
    np.testing.assert_array_equal(named.to_numpy().T, [[0.1, 0.2, 0.3, 0.4, 0.5], [29, 29, 27, 29, 27]])
    assert scan_factors(visits).columns.tolist() == ["age", "years"]


def test_truth_by_visit_is_exact(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    visits = find_visits(root, rescans=True).visits
    path = tmp_path / "volumes.csv"
    path.write_text("participant_id,session_id,icv\n1,m12,1500\nSUB-1,ses-M00,1400\nsub-9,ses-M000,7\n2,M000,\n")
    with caplog.at_level("INFO"):
        factors = scan_factors(visits, path, ["icv"])
    np.testing.assert_array_equal(factors["icv"], [1400, np.nan, 1500, np.nan, np.nan])
    assert "2 of 5 scans have no row in" in caplog.text, "that of sub-2, ses-M000 has no number"


def test_a_linked_folder_is_the_same_folder(root: Path, tmp_path: Path) -> None:
    truth = by_scan(root, gain=[1, 2, 3, 4, 5])
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    visits = find_visits(tmp_path / "link", rescans=True).visits
    assert scan_factors(visits, truth, ["gain"])["gain"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("scan\tgain\nx.nii\t1\n", None, ["no row of any scan", "x.nii"]),
        ("scan\tgain\nx.nii\t1\n./x.nii\t2\n", None, ["more than one row", "x.nii"]),
        ("person\tgain\n1\t1\n", None, ["scan, or participant_id and session_id", "person, gain"]),
        (None, ["gian"], ["factors gian", "age, years, mmse, gain"]),
        (None, ["gain", "gain"], ["gain; gain", "name each once"]),
        (None, [], ["name each once"]),
    ],
)
def test_wrong_truth_is_one_sentence(root: Path, text: str | None, names: list[str] | None, words: list[str]) -> None:
    path = by_scan(root, gain=[1, 2, 3, 4, 5])
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        scan_factors(find_visits(root, rescans=True).visits, path, names)
    assert all(word in str(error.value) for word in words), error.value


def module(root: Path, **settings: object) -> LongitudinalData:
    usual = {"size": (8, 8, 8), "spacing": 1.5, "batch_size": 4, "steps_per_epoch": 2, "cache": str(root / "cache")}
    return LongitudinalData(str(root), **(usual | settings))  # type: ignore[arg-type]


def test_the_batches_carry_the_factors_asked_for(tmp_path: Path) -> None:
    bids(tmp_path, {f"{i:02d}": 2 for i in range(12)})
    scans = sorted(tmp_path.rglob("*_T1w.nii.gz"))
    numbers = {str(path): float(i) for i, path in enumerate(scans)}
    table = pd.DataFrame({"scan": [str(path.relative_to(tmp_path)) for path in scans], "gain": numbers.values()})
    table.to_csv(tmp_path / "truth.tsv", sep="\t", index=False)
    data = module(tmp_path, truth=str(tmp_path / "truth.tsv"), factors=["gain"])
    assert data.factor_names == ("gain",)
    data.prepare_data()
    data.setup("fit")
    for (rows,) in data.train_dataloader():
        batch = data.on_after_batch_transfer((rows,), 0)
        assert batch.factors.shape == (4, 2, 1)
        wanted = [[numbers[data.visits["path"][row]] for row in pair] for pair in rows.tolist()]
        assert batch.factors[:, :, 0].tolist() == wanted
    everything = module(tmp_path, truth=str(tmp_path / "truth.tsv"))
    assert everything.factor_names == ("age", "years", "gain")
    assert not module(tmp_path).scores_quantities
    with pytest.raises(InputError, match="factors gian"):
        module(tmp_path, factors=["gian"]).prepare_data()


def test_the_end_of_a_fit_scores_factors_that_were_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "cohort"
    rows = []
    for i in range(20):
        name = f"sub-{i:02d}/ses-1/anat/sub-{i:02d}_ses-1_T1w.nii.gz"
        write(root / name, anatomy(i))
        rows.append((name, i % 7, -i, 1))
    pd.DataFrame(rows, columns=["scan", "a", "b", "constant"]).to_csv(root / "truth.tsv", sep="\t", index=False)
    people = [f"sub-{i:02d}\t{'val' if i < 15 else 'train'}" for i in range(20)]
    (tmp_path / "split.tsv").write_text("participant_id\tpart\n" + "\n".join(people) + "\n")
    asked = {"truth": str(root / "truth.tsv"), "split_file": str(tmp_path / "split.tsv")}

    def scored(**settings: object) -> set[str]:
        run = trainer(tmp_path, callbacks=[LogDisentanglement(sheet=False, references=False)])
        (logged,) = run.validate(tiny((1, 8, 8, 8)), module(root, **settings), verbose=False)
        return {key for key in logged if key.startswith("disentanglement/")}

    assert {"disentanglement/mig", "disentanglement/mig_a", "disentanglement/mig_b"} <= scored(**asked)
    assert not scored(split_file=asked["split_file"]), "age and years are left alone unless asked for"
    with caplog.at_level("INFO"):
        assert not scored(**asked, factors=["constant"])
    assert "no scores: 15 images of validation, 0 factors vary" in caplog.text
