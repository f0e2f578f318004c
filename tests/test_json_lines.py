"""Journals that survive kills."""

from pathlib import Path
from typing import Any

import pytest

from disentangle_pl.json_lines import JsonLines


def read(path: Path) -> tuple[list[dict[str, Any]], JsonLines]:
    lines: list[dict[str, Any]] = []
    return lines, JsonLines(path, lines.append)


def test_lines_come_back(tmp_path: Path) -> None:
    lines, journal = read(tmp_path / "j")
    assert not (tmp_path / "j").exists()
    journal.write({"a": 1})
    journal.write({"b": "é"})
    assert lines == read(tmp_path / "j")[0] == [{"a": 1}, {"b": "é"}]


@pytest.mark.parametrize("torn", [b'{"b": ', b'{"b": 2}', b"[1]\n", b"7\n", b"\xff\xfe\n", b'nonsense\n{"c": 3}\n'])
def test_a_torn_line_and_what_follows_is_overwritten(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"a": 1}\n' + torn)
    lines, journal = read(path)
    assert lines == [{"a": 1}]
    journal.write({"d": 4})
    assert path.read_bytes() == b'{"a": 1}\n{"d": 4}\n'


def test_a_line_of_another_kind_counts_as_torn(tmp_path: Path) -> None:
    names: list[str] = []
    (tmp_path / "j").write_text('{"name": "x"}\n{"other": 1}\n')
    JsonLines(tmp_path / "j", lambda line: names.append(line["name"])).write({"name": "y"})
    assert names == ["x", "y"]
    assert (tmp_path / "j").read_text() == '{"name": "x"}\n{"name": "y"}\n'
