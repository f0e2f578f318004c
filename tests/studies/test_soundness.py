import pytest
import torch

from disentangle_pl.studies.soundness import soundness
from tests.studies.linear_brain import linear_brain

SHIFT = torch.tensor([0.0, 2.0, 0.0, 0.0])
CODES = torch.randn(10, 4, generator=torch.Generator().manual_seed(3))


def test_a_model_that_loses_nothing_is_sound() -> None:
    model = linear_brain()
    found = soundness(model, model.decode(CODES), SHIFT)
    assert found.composition == pytest.approx(0, abs=1e-6)
    assert found.composition_10 == pytest.approx(0, abs=1e-5)
    assert found.reversibility == pytest.approx(0, abs=1e-6)
    assert found.effectiveness == pytest.approx(1, abs=1e-5)
    assert found.spill == pytest.approx(0, abs=1e-5)
    assert found.identity == 1
    assert found.chance == 0.1


def test_an_encoder_that_misses_a_third_finds_two_thirds_of_the_move() -> None:
    model = linear_brain(loses=1 / 3)
    x = model.decode(CODES)
    found = soundness(model, x, SHIFT)
    assert found.effectiveness == pytest.approx(2 / 3, abs=1e-5)
    once = (model.decode(model.encode(x).mean) - x).abs().mean()
    assert found.composition == pytest.approx(float(once))
    assert found.composition_10 > 2 * found.composition


def test_detail_that_the_model_does_not_see_is_kept_and_comes_back() -> None:
    model = linear_brain(loses=0.1)
    x = torch.rand(6, 1, 12, 12, 12, generator=torch.Generator().manual_seed(1))
    assert soundness(model, x, SHIFT).reversibility == pytest.approx(0, abs=1e-6)


def test_people_without_anything_of_their_own_are_told_apart_by_chance() -> None:
    model = linear_brain()
    alike = model.decode(torch.zeros(8, 4))
    assert soundness(model, alike, SHIFT).identity <= 0.5
    assert soundness(model, model.decode(CODES), torch.ones(4)).identity == pytest.approx(0.1)
