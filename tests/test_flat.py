"""Names of settings."""

from disentangle_pl.flat import flat_name, flatten


def test_flatten_names_columns_as_the_flags() -> None:
    config = {"model": {"class_path": "a.B", "init_args": {"beta": 1, "mask": {"class_path": "M", "init_args": {}}}}}
    assert dict(flatten(config)) == {"model": "a.B", "model.beta": 1, "model.mask": "M"}


def test_flatten_takes_keys_that_are_no_text() -> None:
    assert dict(flatten({"a": {1: 2}, 3: None})) == {"a.1": 2, "3": None}  # type: ignore[dict-item]


def test_a_name_is_short_however_it_was_given() -> None:
    for given in ("model.init_args.mask.init_args.beta", "model.mask.beta"):
        assert flat_name(given) == "model.mask.beta"
    assert flat_name("model.class_path") == "model"
    assert flat_name("val/loss") == "val/loss"
