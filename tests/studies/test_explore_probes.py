import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.studies.explore_fits import fit_classes, fit_quantity
from disentangle_pl.studies.explore_readouts import Known, probes_of

RNG = np.random.default_rng(0)
MIX = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])  # codes of three factors, two correlated latents
EVERYONE = np.arange(400)


def test_a_quantity_is_read_and_set_along_what_changes_with_it() -> None:
    factors = RNG.normal(size=(600, 3))
    codes = factors @ MIX.T
    train, test = (codes[:400], factors[:400, 0]), (codes[400:], factors[400:, 0])
    probe = fit_quantity("size", train, test, EVERYONE)
    assert probe is not None
    assert probe.score > 0.99
    assert probe.choices == ()
    assert probe.trust() == "R² 1.00"
    assert probe.says(codes[0]) == f"{probe.value(codes[0]):.4g}"
    z = codes[0]
    there = probe.moved(z, 2.0)
    assert probe.value(there) == pytest.approx(2.0)
    # the factor moves the first two latents by 1 and 0.8 and leaves the third; the weights of the probe are (1, 0, 0)
    move = (there - z) / (there - z)[0]
    np.testing.assert_allclose(move, [1, 0.8, 0], atol=0.12)
    np.testing.assert_allclose(probe.moved(there, probe.value(z)), z, atol=1e-6)
    with pytest.raises(InputError, match="give a number"):
        probe.moved(z, float("nan"))


def test_a_quantity_that_codes_do_not_hold_is_honest_and_cannot_be_set() -> None:
    codes, values = RNG.normal(size=(600, 3)), RNG.normal(size=600)
    values[3] = np.nan
    probe = fit_quantity("noise", (codes[:400] * 0, values[:400]), (codes[400:], values[400:]), EVERYONE)
    assert probe is not None
    assert probe.score < 0.05
    with pytest.raises(InputError, match="say nothing of noise"):
        probe.moved(codes[0], 1.0)
    noisy = fit_quantity("noise", (codes[:400], values[:400]), (codes[400:], values[400:]), EVERYONE)
    assert noisy is not None
    assert -0.2 < noisy.score < 0.05


def test_classes_are_read_and_set_by_their_mean_codes() -> None:
    labels = RNG.integers(3, size=600)
    codes = np.eye(3)[labels] * 6 + RNG.normal(size=(600, 3)) * 0.3
    probe = fit_classes("shape", (codes[:400], labels[:400]), (codes[400:], labels[400:]), "abc")
    assert probe is not None
    assert probe.score > 0.99
    assert 0.2 < probe.chance < 0.5
    assert probe.trust().startswith("accuracy 1.00, chance 0.")
    z = np.array([6.1, 0.2, -0.1])
    assert probe.says(z).startswith("a (")
    there = probe.moved(z, 2)
    np.testing.assert_allclose(there - z, [-6, 0, 6], atol=0.3)
    assert probe.says(there).startswith("c (")
    np.testing.assert_allclose(probe.moved(there, 2), there, atol=0.3)
    for wrong in (3, -1, float("nan")):
        with pytest.raises(InputError, match="no class number"):
            probe.moved(z, wrong)


def test_classes_that_training_lacks_or_that_are_unknown_are_left_out() -> None:
    labels = np.array([0, 2, -1, 2, 0, 0, 2])
    codes = np.stack([labels, labels * 0], axis=1).astype(float)
    probe = fit_classes("sex", (codes, labels), (codes[:2], np.array([1, -1])), ["F", "?", "M"])
    assert probe is not None
    assert probe.choices == ("F", "M")
    assert probe.score == 0
    alone = fit_classes("sex", (codes, labels), (codes[:0], labels[:0]), ["F", "?", "M"])
    assert alone is not None
    assert alone.trust() == "not known: nothing was held out"


def test_what_does_not_vary_or_is_unknown_has_no_probe() -> None:
    codes = RNG.normal(size=(10, 2))
    assert fit_classes("x", (codes, np.zeros(10, int)), (codes, np.zeros(10, int)), ["0"]) is None
    for values in (np.full(10, np.nan), np.full(10, 3.0)):
        assert fit_quantity("x", (codes, values), (codes, values), np.arange(10)) is None
    two = fit_quantity("x", (codes, np.arange(10.0)), (codes, np.arange(10.0)), np.arange(10) % 2)
    assert two is None, "two people are too few to choose a penalty"


def test_whole_numbers_in_an_order_are_read_as_numbers_and_kinds_as_classes() -> None:
    random = np.random.default_rng(0)
    place, kind = random.integers(0, 24, 600), random.integers(0, 3, 600)
    corner = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    codes = np.column_stack([place / 24 + 0.05 * random.normal(size=600), corner[kind]]).astype(np.float32)
    known = Known(("x", "shape"), np.column_stack([place, kind]), pd.DataFrame())
    x, shape = probes_of(known, codes, np.arange(600), 450, np.arange(450))
    assert (x.name, x.choices) == ("x", ())
    assert x.score > 0.9
    assert float(x.says(codes[0])) == pytest.approx(place[0], abs=5)
    assert shape.choices == ("0", "1", "2")
    assert shape.score == 1.0
