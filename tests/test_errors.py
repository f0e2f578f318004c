"""What the command line says when something is wrong."""

import pytest

from disentangle_pl.cli import main
from disentangle_pl.errors import find_lack_of_memory, leave
from disentangle_pl.verbs import VERBS


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a table of\n  two lines\r\n", "a table of two lines"),
        ("a name with \x1b[2J and \t", "a name with  [2J and"),
        ("naïve  -  (kept)", "naïve  -  (kept)"),
    ],
)
def test_what_is_wrong_is_one_line(message: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        leave(message)
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"disentangle-pl: error: {line}\n"


def test_a_lack_of_memory_is_found_behind_what_it_caused() -> None:
    lack = MemoryError("Unable to allocate 218. TiB")
    assert find_lack_of_memory(lack) is lack
    outer = ValueError("no array")
    outer.__cause__ = lack
    assert find_lack_of_memory(outer) is lack
    allocator = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")
    assert find_lack_of_memory(allocator) is allocator
    assert find_lack_of_memory(ValueError("no array")) is None


def test_a_lack_of_memory_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(args: object) -> None:
        raise MemoryError("Unable to allocate 218. TiB")

    monkeypatch.setitem(VERBS, "runs", greedy)
    with pytest.raises(SystemExit) as stop:
        main(["runs"])
    assert stop.value.code == 2
    assert "there is not enough memory (Unable to allocate 218. TiB): check the sizes" in capsys.readouterr().err
