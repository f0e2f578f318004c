import pytest

from disentangle_pl.callbacks.score_table import show
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.sheet import Line


def caption(capsys: pytest.CaptureFixture[str], *lines: Line, **options: dict[str, Interval]) -> str:
    show(lines, {}, **options)  # type: ignore[arg-type]  # the title is none of the options
    return " ".join(capsys.readouterr().out.split())


def test_the_caption_speaks_of_what_was_computed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "draws" not in caption(capsys, Line("mig", 0.5))
    assert "range of 5 draws" in caption(capsys, Line("mig", 0.5, 0.01, 0.2, 0.9))
    assert "chance is high" in caption(capsys, Line("mig", 0.5, 0.5, 0.6, 0.9))
    alone = caption(capsys, Line("mig", 0.5), intervals={"mig": Interval(0.5, 0.4, 0.6)})
    assert "jackknife" in alone
    assert "floor: noise codes" not in alone


def test_the_references_of_dci_are_said_to_be_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "says nothing" in caption(capsys, Line("dci_completeness", 0.5, 0.01, 0.2, 0.9))
    assert "says nothing" not in caption(capsys, Line("mig", 0.5, 0.01, 0.2, 0.9))
