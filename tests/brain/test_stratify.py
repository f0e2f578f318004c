from collections import Counter

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.stratify import stratified
from disentangle_pl.errors import InputError


def cohort(n: int, seed: int = 0) -> pd.DataFrame:
    """Two visits of n people: diagnoses 5:3:2, either sex, 60 to 90 years, three sites."""
    draw = np.random.default_rng(seed)
    people = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:04d}" for i in range(n)],
            "diagnosis": draw.choice(["CN", "MCI", "AD"], n, p=[0.5, 0.3, 0.2]),
            "sex": draw.choice(["F", "M"], n),
            "age": draw.uniform(60, 90, n),
            "site": draw.choice(["A", "B", "C"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    later = people.assign(years=1.0, age=people["age"] + 1, diagnosis="AD")
    return pd.concat([people.assign(years=0.0), later], ignore_index=True)


def shares(visits: pd.DataFrame, part: pd.Series, column: str) -> pd.DataFrame:
    first = visits.groupby("participant_id")[column].first()
    return pd.crosstab(first, part.reindex(first.index), normalize="columns")


def test_every_part_looks_like_the_cohort() -> None:
    visits = cohort(1000)
    part, said = stratified(visits)
    assert part.index.tolist() == sorted(visits["participant_id"].unique())
    assert Counter(part) == {"train": 800, "val": 100, "test": 100}
    for column in ("diagnosis", "sex", "site"):
        held_out = shares(visits, part, column)
        np.testing.assert_allclose(held_out["test"], held_out["train"], atol=0.03)
        np.testing.assert_allclose(held_out["val"], held_out["train"], atol=0.03)
    age = visits.groupby("participant_id")["age"].first()
    assert abs(age[part == "test"].mean() - age[part == "train"].mean()) < 1
    assert said[0].startswith("stratified by diagnosis x sex x age_band x site: ")
    assert "strata of fewer than 10 people were merged" in said[1]


def test_chance_alone_is_worse() -> None:
    visits = cohort(300)
    spread = {}
    for name, table in (
        ("stratified", visits),
        ("chance", visits.assign(diagnosis=None, sex=None, age=np.nan, site=None)),
    ):
        held_out = [shares(visits, stratified(table, seed)[0], "diagnosis")["test"]["AD"] for seed in range(20)]
        spread[name] = np.std(held_out)
    assert spread["stratified"] < spread["chance"] / 2


def test_seed_decides_and_the_order_of_rows_does_not() -> None:
    visits = cohort(200)
    part, _ = stratified(visits, seed=3)
    again, _ = stratified(visits.sample(frac=1, random_state=1).reset_index(drop=True), seed=3)
    pd.testing.assert_series_equal(part, again)
    other, _ = stratified(visits, seed=4)
    assert 20 < (part != other).sum() < 120


def test_small_strata_are_merged_with_their_like() -> None:
    people = [("CN", "F")] * 20 + [("CN", "M")] * 9 + [("AD", "F")] * 6 + [("AD", "M")] * 5
    visits = pd.DataFrame(people, columns=["diagnosis", "sex"])
    visits = visits.assign(participant_id=[f"sub-{i:02d}" for i in range(40)], years=0.0, age=np.nan, site=None)
    part, said = stratified(visits)
    of_ad = part[visits.set_index("participant_id")["diagnosis"] == "AD"]
    assert set(of_ad) == {"train", "val", "test"}, "11 people with AD are enough for all parts, as one stratum"
    assert said == [
        "stratified by diagnosis x sex: 3 strata of 4",
        "3 strata of fewer than 10 people were merged with others like them",
    ]


def test_nothing_known_is_said() -> None:
    visits = pd.DataFrame({"participant_id": list("abcd"), "years": 0.0, "age": np.nan})
    part, said = stratified(visits.assign(diagnosis=None, sex=None, site="A"))
    assert Counter(part)["train"] == 2
    assert set(part) == {"train", "val", "test"}
    assert said == ["the split is not stratified: nothing is known that tells people apart"]


def test_whole_sites_are_held_out() -> None:
    visits = cohort(300)
    visits["site"] = "S" + (visits["participant_id"].str[-2:].astype(int) % 12).astype(str)
    part, said = stratified(visits, group="site")
    site = visits.groupby("participant_id")["site"].first()
    assert part.groupby(site).nunique().max() == 1
    assert 0.7 < (part == "train").mean() < 0.9
    assert set(part) == {"train", "val", "test"}
    assert "whole groups of site are held out: 12 of them" in said[0]


def test_few_groups_still_fill_every_part_and_too_few_are_refused() -> None:
    visits = cohort(90)
    part, _ = stratified(visits, group="site")
    assert sorted(part.groupby(visits.groupby("participant_id")["site"].first()).first()) == ["test", "train", "val"]
    with pytest.raises(
        InputError, match=r"2 groups of people who must stay together \(site, the same image\) cannot be split"
    ):
        stratified(visits[visits["site"] != "C"], group="site")
    with pytest.raises(InputError, match=r"2 groups of people who must stay together \(participant_id"):
        stratified(visits[visits["participant_id"] < "sub-0002"])


def test_people_who_moved_tie_their_sites_together() -> None:
    visits = pd.DataFrame({"participant_id": list("aabcde"), "site": list("XYYZVW"), "years": 0.0})
    visits = visits.assign(age=np.nan, sex=None, diagnosis=None)
    part, _ = stratified(visits, fractions=(0.4, 0.3, 0.3), group="site")
    assert part["a"] == part["b"]
    lacking = visits.assign(site=pd.Series([None, "Y", "Y", None, "V", "W"], dtype=object))
    with pytest.raises(InputError, match="site is not known of c"):
        stratified(lacking, group="site")
    with pytest.raises(InputError, match="there is no column town to group by: choose one of participant_id, site"):
        stratified(visits, group="town")


def test_people_who_share_an_image_stay_together() -> None:
    visits = cohort(60)
    images = pd.Series(None, index=visits.index, dtype=object)
    images[[0, 7, 20]] = "x"
    images[[80, 21]] = "y"
    for seed in range(8):
        part, said = stratified(visits, seed, (0.4, 0.3, 0.3), images=images)
        assert len({part[f"sub-{i:04d}"] for i in (0, 7, 20, 21)}) == 1
    assert said[0] == "these share an image, and stay together: sub-0000; sub-0007; sub-0020; sub-0021"


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_shares_must_be_shares(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="three positive shares"):
        stratified(cohort(20), fractions=fractions)


def test_who_has_a_part_keeps_it_and_new_people_fill_every_stratum() -> None:
    visits = cohort(300)
    few = visits[visits["participant_id"] < "sub-0100"]
    before, _ = stratified(few, seed=1)
    part, _ = stratified(visits, seed=2, before=before)
    assert part[before.index].equals(before)
    assert Counter(part) == pytest.approx({"train": 240, "val": 30, "test": 30}, abs=2)
    for column in ("diagnosis", "sex"):
        np.testing.assert_allclose(
            shares(visits, part, column)["test"], shares(visits, part, column)["train"], atol=0.1
        )
    again, _ = stratified(visits.sample(frac=1, random_state=0).reset_index(drop=True), seed=2, before=before)
    pd.testing.assert_series_equal(part, again)


def test_growth_makes_up_for_a_part_that_is_too_small() -> None:
    visits = cohort(40)
    before = pd.Series("train", index=[f"sub-{i:04d}" for i in range(30)])
    part, _ = stratified(visits, before=before)
    assert Counter(part) == {"train": 32, "val": 4, "test": 4}


def test_new_people_join_those_they_share_an_image_or_a_site_with() -> None:
    visits = cohort(6)
    before = pd.Series({"sub-0000": "train", "sub-0001": "val", "sub-0002": "test"})
    images = pd.Series(None, index=visits.index, dtype=object)
    images[[1, 3]] = "x"
    part, _ = stratified(visits, images=images, before=before)
    assert part["sub-0003"] == "val"
    sites = visits.assign(site=visits["participant_id"].map(lambda name: "ABC"[int(name[-1]) % 3]))
    part, _ = stratified(sites, group="site", before=before)
    assert part.tolist() == ["train", "val", "test"] * 2
    images[2] = "x"
    with pytest.raises(InputError, match="sub-0003 must stay with people of two parts of the split"):
        stratified(visits, images=images, before=before)
