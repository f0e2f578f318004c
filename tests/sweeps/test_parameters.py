"""Values of every distribution against W&B's own engine (`sweeps` 0.3.0 gave the numbers), and what is refused."""

from typing import Any

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.parameters import RANGES, read_parameter

GOLDEN: list[tuple[dict[str, Any], list[Any]]] = [
    ({"min": 1, "max": 5}, [1, 2, 5]),
    ({"min": 0.5, "max": 2}, [0.575, 1.1, 1.895]),
    ({"distribution": "q_uniform", "min": 0, "max": 10, "q": 2}, [0, 4, 10]),
    ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}, [0.0, 0.5, 1.0]),
    (
        {"distribution": "log_uniform", "min": -2, "max": 2},
        [0.16529888822158653, 0.6703200460356393, 5.5845284642760555],
    ),
    (
        {"distribution": "log_uniform_values", "min": 0.0001, "max": 1},
        [0.00015848931924611147, 0.003981071705534975, 0.5248074602497731],
    ),
    ({"distribution": "q_log_uniform", "min": 0, "max": 4, "q": 2}, [2, 4, 42]),
    ({"distribution": "q_log_uniform_values", "min": 1, "max": 50, "q": 5}, [0, 5, 40]),
    (
        {"distribution": "inv_log_uniform", "min": -1, "max": 2},
        [0.15723716631362766, 0.4493289641172217, 2.203396426255937],
    ),
    (
        {"distribution": "inv_log_uniform_values", "min": 0.1, "max": 5},
        [0.12160417906586575, 0.47817624989501867, 3.8022625675360575],
    ),
    ({"distribution": "normal"}, [-1.6448536269514729, -0.2533471031357997, 1.475791028179171]),
    ({"distribution": "q_normal", "mu": 3, "sigma": 2, "q": 0.5}, [-0.5, 2.5, 6.0]),
    ({"distribution": "log_normal", "mu": 1, "sigma": 0.5}, [1.1943154625015757, 2.394864009939245, 5.685366051237407]),
    ({"distribution": "q_log_normal", "q": 2}, [0, 0, 4]),
    ({"distribution": "beta", "a": 2, "b": 3}, [0.09761146288641434, 0.3291665033784079, 0.7190699496472703]),
    ({"distribution": "q_beta", "a": 2, "b": 3, "q": 0.1}, [0.1, 0.30000000000000004, 0.7000000000000001]),
    ({"values": ["a", "b", "c"]}, ["a", "b", "c"]),
    ({"values": ["a", "b", "c"], "probabilities": [0.2, 0.5, 0.3]}, ["a", "b", "c"]),
]


@pytest.mark.parametrize(("spec", "expected"), GOLDEN, ids=[str(spec.get("distribution", spec)) for spec, _ in GOLDEN])
def test_values_equal_those_of_the_reference(spec: dict[str, Any], expected: list[Any]) -> None:
    parameter = read_parameter("x", spec)
    drawn = [parameter.at(parameter.coordinate(u), parameter.values) for u in (0.05, 0.4, 0.93)]
    assert [type(value) for value in drawn] == [type(value) for value in expected]
    assert drawn == [value if isinstance(value, str) else pytest.approx(value, rel=1e-9) for value in expected]


def test_every_distribution_has_a_golden_value() -> None:
    named = {spec.get("distribution") for spec, _ in GOLDEN}
    assert named >= set(RANGES) - {"uniform", "int_uniform"}


def test_whole_ends_give_whole_numbers_and_both_ends_occur() -> None:
    parameter = read_parameter("x", {"min": 2, "max": 4})
    drawn = [parameter.at(u / 100, None) for u in range(101)]
    assert set(drawn) == {2, 3, 4}
    assert all(type(value) is int for value in drawn)
    assert parameter.grid == (2, 3, 4)


def test_a_grid_of_steps_leaves_the_upper_end_out() -> None:
    assert read_parameter("x", {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}).grid == (
        0,
        0.25,
        0.5,
        0.75,
    )


def test_ranges_and_weighted_choices_have_no_grid() -> None:
    assert read_parameter("x", {"min": 0.0, "max": 1}).grid is None
    assert read_parameter("x", {"values": [1, 2], "probabilities": [0.5, 0.5]}).grid is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (3, "must be a mapping"),
        ({"parameters": {"y": {"value": 1}}}, "dotted keys"),
        ({"values": []}, "at least one"),
        ({"values": 3}, "at least one"),
        ({"values": [1, None]}, '"null"'),
        ({"value": None}, '"null"'),
        ({"values": [1, 2], "probabilities": [1]}, "one probability"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "sum 1"),
        ({"values": [1, 2], "probabilities": [-1, 2]}, "one probability"),
        ({"distribution": "cauchy"}, "log_uniform_values"),
        ({"min": 1}, "max"),
        ({"min": "a", "max": 1}, "min"),
        ({"min": 2, "max": 1}, "impossible"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "impossible"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "impossible"),
        ({"distribution": "normal", "sigma": 0}, "impossible"),
        ({"distribution": "normal", "sigma": float("nan")}, "sigma"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_refused(spec: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_parameter("model.beta", spec)
    assert "model.beta" in str(caught.value)
