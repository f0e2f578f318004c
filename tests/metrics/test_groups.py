"""Rows of one person are not independent: groups are held out, permuted and drawn as a whole."""

from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, noise_floor, permutation_p_value, permuted, permuted_rows
from disentangle_pl.metrics.dci import dci_informativeness
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.null import corrected_information, information_shares, modularity_corrected
from disentangle_pl.metrics.references import full_sheet, reference_codes
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import GroundTruth, held_out_rows, train_test
from disentangle_pl.metrics.sheet import ALL
from disentangle_pl.studies.codes import CodeTable, load_codes
from tests.command_line import SHARED
from tests.metrics.golden import draw

CASES = SHARED / "cases" / "scores"
PEOPLE = np.repeat(np.arange(60), 4)
RANDOM = np.random.default_rng(4)
IDENTITY = RANDOM.normal(size=(60, 6))[PEOPLE] + RANDOM.normal(0, 0.1, (240, 6))
TRAITS = RANDOM.normal(size=(60, 3))[PEOPLE]
KINDS = np.zeros(3, dtype=bool)


def case(name: str) -> CodeTable:
    """Read one of the small inputs."""
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"no small inputs at {path}")
    return load_codes(path)


def test_codes_of_who_somebody_is_know_nothing_of_unrelated_traits() -> None:
    apart, together = GroundTruth(TRAITS, KINDS), GroundTruth(TRAITS, KINDS, PEOPLE)
    assert modularity_corrected(IDENTITY, apart).informative >= 5
    assert modularity_corrected(IDENTITY, together) == (0, 0)
    assert not information_shares(IDENTITY, together).any()
    assert permutation_p_value(mcc, IDENTITY, apart, permutations=39) == 1 / 40
    assert permutation_p_value(mcc, IDENTITY, together, permutations=39) > 0.1


def test_people_of_a_file_are_permuted_as_a_whole() -> None:
    table = case("identity.npz")
    assert table.factors.groups is not None
    assert len(np.unique(table.factors.groups)) == 60
    lines, _ = full_sheet(table.codes, table.factors, {name: ALL[name] for name in ("corrected", "mcc")})
    line = {line.name: line for line in lines}
    assert line["informative_latents"].value == line["informative_latents_active"].value == 0
    assert line["modularity_corrected"].value == 0
    assert line["mcc"].floor_low - 0.05 < line["mcc"].value < line["mcc"].floor_high + 0.05
    apart, _ = full_sheet(table.codes, table.factors.with_groups(None), {"corrected": ALL["corrected"]})
    assert {line.name: line.value for line in apart}["informative_latents"] > 4


def test_informative_codes_of_people_stay_informative() -> None:
    codes = TRAITS + RANDOM.normal(0, 0.3, TRAITS.shape)
    found = corrected_information(codes, GroundTruth(TRAITS, KINDS, PEOPLE))
    np.testing.assert_array_equal(found > 0, np.eye(3, dtype=bool))


def test_groups_are_held_out_as_a_whole_and_come_to_a_third() -> None:
    for seed in range(5):
        chosen = held_out_rows(240, PEOPLE, seed)
        assert chosen.sum() == 80
        assert not set(PEOPLE[chosen]) & set(PEOPLE[~chosen])
    uneven = np.repeat([0, 1, 2, 3], [90, 2, 3, 5])
    for seed in range(5):
        chosen = held_out_rows(100, uneven, seed)
        assert 0 < chosen.sum() < 100
        assert not set(uneven[chosen]) & set(uneven[~chosen])
    (_, train), (_, test) = train_test(IDENTITY, GroundTruth(TRAITS, KINDS, PEOPLE), None)
    assert train.groups is not None
    assert test.groups is not None
    assert (len(train), len(test)) == (160, 80)
    assert not set(train.groups) & set(test.groups)
    with pytest.raises(InputError, match="one group, such as one person: holding out needs two"):
        held_out_rows(8, np.zeros(8, dtype=int))


def test_probes_of_people_are_tested_on_others() -> None:
    """Codes that tell who somebody is predict any trait of the same people, and of others none."""
    classes = (TRAITS[:, :2] > 0).astype(float)
    both = np.array([True, True])
    assert dci_informativeness(IDENTITY, GroundTruth(classes, both)) > 0.85
    assert dci_informativeness(IDENTITY, GroundTruth(classes, both, PEOPLE)) < 0.75


def test_rows_of_others_come_in_groups() -> None:
    rows = permuted_rows(PEOPLE, seed=3)
    others = PEOPLE[rows].reshape(60, 4)
    np.testing.assert_array_equal(others, others[:, :1].repeat(4, axis=1))
    assert (others[:, 0] != np.arange(60)).sum() > 50
    assert sorted(rows.tolist()) == list(range(240))
    np.testing.assert_array_equal(permuted(IDENTITY, PEOPLE, seed=3), IDENTITY[rows])


def test_noise_of_a_group_is_one_draw() -> None:
    noise = noise_codes(240, 3, groups=PEOPLE[::-1], seed=2)
    assert len(np.unique(noise, axis=0)) == 60
    np.testing.assert_array_equal(noise.reshape(60, 4, 3), noise.reshape(60, 4, 3)[:, :1].repeat(4, axis=1))
    assert noise_floor(mcc, GroundTruth(TRAITS, KINDS, PEOPLE), 6) > noise_floor(mcc, TRAITS, 6) + 0.05
    for codes in reference_codes(GroundTruth(TRAITS, KINDS, PEOPLE), 6)["floor"]:
        assert len(np.unique(codes, axis=0)) == 60


def test_a_sorted_grid_scores_as_its_shuffled_rows() -> None:
    factors = np.stack(np.unravel_index(np.arange(600), (3, 4, 5, 10)), axis=1)
    codes = factors + np.random.default_rng(0).normal(0, 0.3, factors.shape)
    order = np.random.default_rng(1).permutation(600)
    assert sap(codes, factors) == pytest.approx(sap(codes[order], factors[order]), abs=0.05)
    last = (codes[400:], factors[400:])
    assert sap(codes[:400], factors[:400], test=last) < sap(codes, factors) - 0.06


def test_a_sorted_file_scores_as_its_shuffled_rows() -> None:
    table = case("sorted_grid.npz")
    order = np.random.default_rng(1).permutation(len(table.codes))
    codes, factors = table.codes[order], table.factors[order]
    assert sap(table.codes, table.factors) == pytest.approx(sap(codes, factors), abs=0.03)
    assert sap(table.codes, table.factors) > 0.35
    few = order[:800]
    few.sort()
    assert dci_informativeness(table.codes[few], table.factors[few]) > 0.95


def test_people_travel_through_files(tmp_path: Path) -> None:
    names = np.array(["ann", "bob"])[np.arange(12) // 6 % 2]
    np.savez(tmp_path / "codes.npz", codes=IDENTITY[:12], factors=draw((2, 3), 12), people=names)
    groups = load_codes(tmp_path / "codes.npz").factors.groups
    assert groups is not None
    assert groups.tolist() == [0] * 6 + [1] * 6
