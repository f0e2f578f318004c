"""Reading YAML that wants more than it looks."""

import pytest
import yaml

from disentangle_pl.yaml_text import DEEPEST, check_yaml, load_yaml

LAUGHS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10 if i else ['1'] * 10)}]" for i in range(12))


def test_plain_values_and_aliases_are_read() -> None:
    assert load_yaml("a: &x [1, 2.5, null]\nb: *x\nc: {d: text}") == {
        "a": [1, 2.5, None],
        "b": [1, 2.5, None],
        "c": {"d": "text"},
    }
    assert load_yaml(b"") is None
    assert load_yaml("&a 1") == 1
    deep = "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)
    assert load_yaml(deep)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 1,000,000 values"),
        ("[" * 100_000, "200 levels"),
        ("[" * DEEPEST + "]" * DEEPEST, "200 levels"),
        ("- " * 300 + "1", "200 levels"),
        ("&a [1, *a]", "within what it names"),
        ("&a [1, {b: *a}]", "within what it names"),
    ],
    ids=["laughs", "open", "closed", "block", "itself", "itself deeper"],
)
def test_what_has_no_end_is_refused(text: str, said: str) -> None:
    with pytest.raises(yaml.YAMLError, match=said):
        check_yaml(text)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "a: [", b"\xff\xfe\xff", b"a: \xe9\xff", "a: *b"]
)
def test_other_objects_and_what_is_no_yaml_are_refused(text: str | bytes) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
