import pytest
from rich.table import Table

from disentangle_pl.console import wide_console


def test_tables_are_whole_where_nobody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(*(f"a long name of column {i}" for i in range(6)))
    table.add_row(*(f"cell {i}" for i in range(6)))
    monkeypatch.delenv("COLUMNS", raising=False)
    wide_console().print(table)
    assert "a long name of column 5" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "60")
    wide_console().print(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
