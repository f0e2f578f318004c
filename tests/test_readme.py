"""What the README says works: its flags parse, its targets and files exist, its Python runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.command_line import ROOT, SHARED, run

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SHELL = [line.split("   #")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
FITS = [line for line in SHELL if "disentangle-pl fit" in line]
GOLDEN = SHARED / "golden" / "disentangled.npz"


@pytest.mark.parametrize("line", FITS)
def test_fit_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    flags = shlex.split(line.replace("$SLURM_NNODES", "2"))
    flags = flags[flags.index("fit") :]
    with pytest.raises(SystemExit) as stop:
        run(*flags, "--print_config")
    assert stop.value.code in (0, None)
    config = yaml.safe_load(capsys.readouterr().out)
    for flag in flags:
        if flag.startswith("--model.beta=") or flag.startswith("--model.latent_dim="):
            key, value = flag.removeprefix("--model.").split("=")
            assert config["model"]["init_args"][key] == float(value)


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("disentangle-pl sweep")])
def test_sweep_commands_check_their_files(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        run(*shlex.split(line)[1:], "--dry_run=true")
    assert stop.value.code == 0


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    named = re.findall(r"\bmake ([a-z-]+)", README)
    assert {"train", "compare", "test"} <= set(named) <= set(targets)


def test_pictures_and_files_exist() -> None:
    named = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README) + re.findall(
        r"\b(?:configs|sweeps|benchmarks)/[\w/.]+\.\w+", README
    )
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_scores_of_the_readme_give_the_golden_values() -> None:
    if not GOLDEN.is_file():
        pytest.skip(f"the golden values are not at {GOLDEN}")
    (code,) = (text for kind, text in BLOCKS if kind == "python" and "mig(codes" in text)
    golden = np.load(GOLDEN)
    space = {"codes": golden["mus_train"].T, "factors": golden["ys_train"].T}
    space["people"] = np.arange(len(space["codes"])) // 4
    exec(code, space)  # noqa: S102 - the README's own example
    assert float(space["metric"].compute()) == pytest.approx(golden["mig_discrete_mig"], abs=1e-5)
    assert space["mig"](space["codes"], space["factors"]) == pytest.approx(golden["mig_discrete_mig"], abs=1e-6)


def test_no_placeholder_is_left() -> None:
    assert not re.findall(r"\b[A-Z]+_TEXT\b", README)
    assert Path(ROOT / "CHANGELOG.md").is_file()
