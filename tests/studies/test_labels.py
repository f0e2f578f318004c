"""Settings in few letters."""

import math

import pytest

from disentangle_pl.studies.labels import short_names, short_score, short_value, wrapped


def test_keys_keep_the_parts_that_tell_them_apart() -> None:
    keys = ["model.beta", "model", "a.x.lr", "b.x.lr", "lr", "data.pairs.k"]
    assert list(short_names(keys).values()) == ["beta", "model", "a.x.lr", "b.x.lr", "lr", "k"]
    assert short_names([]) == {}
    assert short_names(["a.b", "a.b"]) == {"a.b": "b"}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("disentangle_pl.models.beta_vae.BetaVAE", "BetaVAE"),
        ("disentangle_pl.aggregation.kl_divergence", "kl_divergence"),
        ("plain words. Not a class", "plain words. Not a class"),
        ("0.5.1", "0.5.1"),
        ("split.tsv", "split.tsv"),
        ("split.v2.tsv", "split.v2.tsv"),
        ('["a.tsv", "a.b.C"]', '["a.tsv", "C"]'),
        (None, "null"),
        (math.nan, "null"),
        (True, "true"),
        (4.0, "4"),
        (8, "8"),
        (1e-5, "1e-05"),
        (2_000_000, "2e+06"),
        ('["a.b.C", 1]', '["C", 1]'),
        ("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "[0, 1, 2, 3, 4, 5, 6, 7…"),
        ("", ""),
    ],
)
def test_values(value: object, label: str) -> None:
    assert short_value(value) == label
    assert len(label) <= 24


def test_scores_and_long_names() -> None:
    assert short_score("disentanglement/mig") == "mig"
    assert short_score("val/loss") == "val/loss"
    assert wrapped("dci_disentanglement", 12) == "dci_\ndisentanglement"
    assert wrapped("a.b.c") == "a.b.c"
    assert wrapped("") == ""
    assert "".join(wrapped("x_" * 40).split("\n")) == "x_" * 40
