from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.brain.alignment import Affine, rigid_part, stripped
from disentangle_pl.brain.correction import Placed
from disentangle_pl.brain.midspace import Midspace, meeting
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.registration import together
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare import report_prepared
from disentangle_pl.verbs_brain import prepare
from tests.brain.scans import write
from tests.brain.test_correction import ball, brain, similarity
from tests.brain.test_registration import gap

POSES = (similarity(3, 1.0, (4, -6, 2)), similarity(-4, 1.0, (-5, 3, 1)), similarity(1, 1.0, (0, 0, 8)))


def visit(pose: Matrix, seed: int) -> Scan:
    """The template, thinner by 10 % and in another place, as a noisy scan."""
    values = brain().get_fdata(dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.02, values.shape)
    return Scan((values * (1 + noise)).astype(np.float32), pose @ np.diag([0.9, 1, 1, 1]) @ brain().affine)


def test_scans_of_a_person_meet_whatever_their_order() -> None:
    brains = [stripped(visit(pose, seed)) for seed, pose in enumerate(POSES)]
    off = [pose @ similarity(turn, 1.0, (turn, 0, -turn)) for pose, turn in zip(POSES, (1, -1, 0.5), strict=True)]
    starts = torch.from_numpy(np.stack([rigid_part(start) for start in off]))
    maps = meeting(together([each.pyramid for each in brains]), starts, rounds=3, steps=4).numpy()
    for i, j in combinations(range(3), 2):
        between, truth = maps[i] @ np.linalg.inv(maps[j]), POSES[i] @ np.linalg.inv(POSES[j])
        assert gap(between, truth) < 0.3 < gap(off[i] @ np.linalg.inv(off[j]), truth)
    back = meeting(together([each.pyramid for each in brains[::-1]]), starts.flip(0), rounds=3, steps=4).numpy()
    assert max(gap(one, other) for one, other in zip(maps, back[::-1], strict=True)) < 1e-2
    assert np.array_equal(meeting(brains[0].pyramid, starts[:1], 3, 4), starts[:1]), "one scan has no others"


def test_all_scans_of_a_person_get_one_size_and_a_bad_one_is_left_out() -> None:
    scans = [Placed(visit(POSES[0], 0)), Placed(ball(82)), Placed(visit(POSES[1], 1))]
    first, bad, second = Midspace(Affine())(scans)
    assert not isinstance(first, str)
    assert not isinstance(second, str)
    assert isinstance(bad, str)
    assert bad.startswith("seems to be a whole head")
    assert first.scale == second.scale == pytest.approx(1 / 0.9, rel=0.02)
    assert gap(first.scan.affine @ np.linalg.inv(brain().affine), np.eye(4)) < 1.5
    between = first.scan.affine @ np.linalg.inv(scans[0].scan.affine)
    other = second.scan.affine @ np.linalg.inv(scans[2].scan.affine)
    assert gap(between @ POSES[0], other @ POSES[1]) < 0.3, "they lie on one another"


def test_a_further_visit_prepares_its_person_anew_and_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (who, pose) in enumerate([("01", POSES[0]), ("01", POSES[1]), ("02", POSES[2])], start=1):
        scan = visit(pose, number)
        path = tmp_path / "bids" / f"sub-{who}" / f"ses-{number}" / "anat" / f"sub-{who}_ses-{number}_T1w.nii.gz"
        write(path, scan.voxels, scan.affine)
    preparation = Preparation((12, 12, 12), 16.0, midspace=Midspace(Affine(), rounds=1, steps=2))
    report_prepared(tmp_path / "bids", tmp_path / "out", preparation)
    before = np.load(tmp_path / "out" / "volumes.npy")
    scan = visit(similarity(-8, 1.0, (9, 9, 9)), 9)
    write(tmp_path / "bids/sub-01/ses-9/anat/sub-01_ses-9_T1w.nii.gz", scan.voxels, scan.affine)
    capsys.readouterr()
    quality = report_prepared(tmp_path / "bids", tmp_path / "out", preparation)
    assert "4 scans of 2 people, 1 of them from earlier calls" in capsys.readouterr().out
    after = np.load(tmp_path / "out" / "volumes.npy")
    assert np.array_equal(after[3], before[2]), "the other person stays"
    assert quality.groupby("participant_id")["scale"].nunique().tolist() == [1, 1]
    assert "key" not in pd.read_parquet(tmp_path / "out" / "index.parquet")
    assert quality["overlap"].min() > 0.95


def test_a_midspace_and_an_overlap_need_a_way_to_the_template(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --align 6 or --align 12"):
        prepare([str(tmp_path), "--out", str(tmp_path / "out"), "--midspace=true"])
    with pytest.raises(InputError, match="--align_overlap is of aligned brains"):
        prepare([str(tmp_path), "--out", str(tmp_path / "out"), "--align_overlap=0.9"])
