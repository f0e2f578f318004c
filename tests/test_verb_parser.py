import pytest

from disentangle_pl.verb_parser import verb_parser


@pytest.mark.parametrize(
    "flags", [["--scores=[mig,dci]"], ["--scores=[mig, 'dci']"], ["--scores", "[mig,dci]"], ["--scores", "mig", "dci"]]
)
def test_lists_may_be_written_as_in_a_configuration(flags: list[str]) -> None:
    parser = verb_parser("evaluate", "Score.")
    parser.add_argument("--scores", nargs="+", type=str, default=[])
    parser.add_argument("--steps", nargs="+", type=int, default=[])
    parser.add_argument("--size", nargs=3, type=int, default=[1, 1, 1])
    parser.add_argument("--title", type=str, default="")
    parsed = parser.parse_args([*flags, "--steps=[1,2]", "--size", "[3,4,5]", "--title", "[a,b]"])
    assert parsed.scores == ["mig", "dci"]
    assert parsed.steps == [1, 2]
    assert parsed.size == [3, 4, 5]
    assert parsed.title == "[a,b]"
