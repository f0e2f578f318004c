"""Sites told from codes by people who were not fitted to."""

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_inputs import columns
from disentangle_pl.metrics.site_auc import site_auc


def test_sites_are_told_where_they_show_and_not_where_they_do_not() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 3)
    sites = np.array(["a", "b", "c"], dtype=object)[people % 3]
    noise, person = rng.normal(size=(180, 4)), rng.normal(size=(60, 4))[people]
    marked = noise + 6 * (sites == "b")[:, None] * np.array([1, 0, 0, 0]) + 6 * (sites == "c")[:, None] * np.eye(4)[1]
    told = site_auc(columns(marked), sites, people)
    assert told.sites == 3
    assert told.auc.low > 0.97
    blind = site_auc(columns(person + 0.01 * noise), sites, people)
    assert blind.auc.low < 0.5 < blind.auc.high + 0.05, "that a person is known must not tell the site"
    assert blind.auc.mean < 0.6


def test_small_sites_are_not_asked_for() -> None:
    people = np.arange(40)
    sites = np.where(people < 18, "a", np.where(people < 37, "b", "c")).astype(object)
    codes = np.random.default_rng(0).normal(size=(40, 2))
    assert site_auc(columns(codes), sites, people).sites == 2
    with pytest.raises(InputError, match="no site has 5 people, and as many elsewhere"):
        site_auc(columns(codes), people.astype(object), people)
    with pytest.raises(InputError, match="no site has 5 people"):
        site_auc(columns(codes), np.full(40, "a", dtype=object), people)
