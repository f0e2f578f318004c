"""Each tissue changes by what was asked for, and nothing folds."""

import numpy as np
import pytest
import torch

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import Anatomy
from disentangle_pl.brain.atrophy import CHANGING, REACH, amounts, calibrate, calibrated_fields, nearness
from disentangle_pl.brain.deformation import exponential, jacobian
from disentangle_pl.brain.phantom import bounded
from disentangle_pl.brain.template import mni_anatomy
from disentangle_pl.errors import InputError
from tests.brain.heads import changed, prepared


def log_change(*log_volumes: float) -> np.ndarray:
    before, after = (part.sum((1, 2, 3)) for part in (torch.from_numpy(prepared()[0].fractions), changed(*log_volumes)))
    found: np.ndarray = (after / before).log().numpy()
    return found


@pytest.mark.parametrize("factor", range(4))
def test_a_small_change_is_what_was_asked_for(factor: int) -> None:
    wanted = np.zeros(4)
    wanted[factor] = 0.08
    found = (log_change(*wanted) - log_change(*-wanted))[list(CHANGING)] / 2
    assert found[factor] == pytest.approx(0.08, rel=0.1)
    assert np.abs(np.delete(found, factor)).max() < 0.005


@pytest.mark.parametrize("factor", range(4))
@pytest.mark.parametrize("sign", [-1, 1])
def test_large_changes_are_what_was_asked_for(factor: int, sign: int) -> None:
    wanted = 0.9 * sign * REACH * np.eye(4)[factor]
    found = log_change(*amounts(prepared()[1], wanted))[list(CHANGING)]
    assert found[factor] == pytest.approx(wanted[factor], rel=0.25 if CHANGING[factor] == a.HIPPOCAMPUS else 0.1)


def test_a_joint_change_of_the_ill() -> None:
    wanted = np.array([0.7, -0.18, -0.3, -0.12])
    assert (log_change(*amounts(prepared()[1], wanted))[list(CHANGING)] / wanted > 0.6).all()


def test_more_than_can_be_reached_ends_at_the_last_knot() -> None:
    calibration = prepared()[1]
    assert amounts(calibration, np.full(4, 9.0)) == pytest.approx(3 * REACH)
    assert amounts(calibration, np.full(4, -9.0)) == pytest.approx(-2 * REACH)
    assert amounts(calibration, np.zeros(4)) == pytest.approx(np.zeros(4), abs=1e-4)


def test_other_tissues_and_the_skull_stay() -> None:
    found = log_change(0.3, -0.1, -0.2, -0.05)
    assert np.abs(found[[a.THALAMUS, a.CEREBELLAR_CORTEX, a.CEREBELLAR_WHITE]]).max() < 0.04
    before, after = prepared()[0].fractions.sum(), float(changed(0.3, -0.1, -0.2, -0.05).sum())
    assert after / before == pytest.approx(1, abs=0.02)


def test_what_shrinks_makes_room_for_fluid() -> None:
    volume = 0.216
    before = torch.from_numpy(prepared()[0].fractions).sum((1, 2, 3)) * volume
    after = changed(0, -0.15, 0, 0).sum((1, 2, 3)) * volume
    assert float((after - before)[a.CSF]) == pytest.approx(float((before - after)[a.CORTEX]), rel=0.45)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_nothing_folds(sign: float) -> None:
    velocity = torch.einsum("k,kcxyz->cxyz", torch.from_numpy(sign * REACH * [1, -1, -1, -1]).float(), prepared()[2])
    assert float(jacobian(exponential(velocity)).min()) > 0
    assert float(jacobian(exponential(-velocity)).min()) > 0


def test_the_furthest_changes_do_not_fold_at_the_default_size() -> None:
    head = mni_anatomy(64)
    calibration = calibrate(head)
    furthest = amounts(calibration, bounded(9 * REACH) * [1, -1, -1, -1])
    fields = calibrated_fields(head, calibration)
    velocity = torch.einsum("k,kcxyz->cxyz", torch.from_numpy(furthest).float(), fields)
    assert float(jacobian(exponential(-velocity)).min()) > 0


def test_a_missing_tissue_is_refused() -> None:
    head = prepared()[0]
    without = head.fractions.copy()
    without[a.HIPPOCAMPUS] = 0
    with pytest.raises(InputError, match="ml of hippocampus"):
        calibrate(Anatomy(without, head.detail, head.affine))


def test_nearness() -> None:
    line = np.zeros((9, 1, 1), dtype=np.float32)
    line[4] = 1
    assert nearness(line, 2.0, 4.0).ravel() == pytest.approx(np.exp(-np.abs(np.arange(9) - 4) / 2), rel=1e-5)
    assert nearness(0 * line, 2.0, 4.0).max() == 0
