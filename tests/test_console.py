import pytest
from rich.table import Table

from disentangle_pl.console import print_table, wide_console


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


def test_columns_that_do_not_fit_come_beneath_and_no_cell_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("score", title="Scores of a model that is named by more words than the table has columns wide")
    for header in ("value", "floor", "rotated\nby chance", "ceiling"):
        table.add_column(header, justify="right")
    table.add_row("wasserstein_correlation_normalised *", *["0.45 [0.41, 0.86]"] * 4)
    table.add_row("mig", *["0.10"] * 4)
    table.caption = "a caption"
    monkeypatch.setenv("COLUMNS", "80")
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert lines[0] == table.title
    assert lines[-1] == "a caption"
    for cell, times in {"0.45 [0.41, 0.86]": 4, "wasserstein_correlation_normalised *": 2, "by chance": 1}.items():
        assert "\n".join(lines).count(cell) == times
    monkeypatch.setenv("COLUMNS", "140")
    print_table(table)
    assert capsys.readouterr().out.count("wasserstein") == 1
    said = "the rows of all parts are in the same order"
    monkeypatch.setenv("COLUMNS", "100")
    print_table(table, keys=2)
    shown = capsys.readouterr().out
    assert shown.count("0.45 [0.41, 0.86]") == 5, "value and wasserstein stand in front of both parts"
    assert said not in shown
    print_table(table, keys=4)
    shown = capsys.readouterr().out
    assert shown.count("0.45 [0.41, 0.86]") == 4
    assert said in shown
