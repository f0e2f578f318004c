"""The documentation: built without a warning, nothing loaded from elsewhere, no dead link, a page for everything."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

pytest.importorskip("sphinx", reason="needs sphinx: pip install .[dev]")
pytest.importorskip("furo", reason="needs furo: pip install .[dev]")
pytest.importorskip("myst_parser", reason="needs myst-parser: pip install .[dev]")
pytest.importorskip("latex2mathml", reason="needs latex2mathml: pip install .[dev]")

from latex2mathml.converter import convert

from disentangle_pl.metrics import sheet
from disentangle_pl.verbs import VERBS
from docs.extension import files, modules, scores
from docs.extension.docstrings import escaped, parts, restructured
from docs.extension.objects import about, settings
from docs.extension.sheet import read
from tests.command_line import ROOT
from tests.warm_python import warm_python

KINDS = [(name, kind, path) for name, kind in files.KINDS.items() for path in files.files(kind)]
NAMES = [f"{name}/{path.stem}" for name, _, path in KINDS]


class Assets(HTMLParser):
    """Collect what a page loads, where it links to, and the places in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.places: set[str] = {""}
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag in ("script", "img", "source", "iframe") and "src" in given:
            self.loads.add(given["src"])
        elif tag == "link" and "href" in given:
            self.loads.add(given["href"])
        elif tag == "a" and "href" in given:
            self.links.add(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assets]:
    """Build the site as `make docs` does, into a folder of its own."""
    out = tmp_path_factory.mktemp("site")
    # a process of its own: autodoc replaces the default values of all functions
    command = [warm_python(), "-m", "sphinx", "-W", "--keep-going", "-n", "-q", str(ROOT / "docs"), str(out)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return {str(page.relative_to(out)): Assets(page) for page in sorted(out.rglob("*.html"))}


def test_nothing_is_loaded_from_elsewhere(site: dict[str, Assets]) -> None:
    assert len(site) > 400
    elsewhere = {load for page in site.values() for load in page.loads if urlparse(load).scheme or load[:2] == "//"}
    assert elsewhere <= {load for load in elsewhere if load.startswith("data:")}


def test_every_link_within_the_site_leads_somewhere(site: dict[str, Assets]) -> None:
    dead = []
    for name, page in site.items():
        for link in sorted(page.links):
            url = urlparse(link)
            if url.scheme or not link:
                continue
            target = str((Path("/") / Path(name).parent / unquote(url.path)).resolve())[1:] if url.path else name
            if target.endswith(".html") and (target not in site or unquote(url.fragment) not in site[target].places):
                dead.append((name, link))
    assert not dead


def test_there_is_a_page_for_everything(site: dict[str, Assets]) -> None:
    wanted = [*NAMES, *(f"metrics/{name.rpartition('.')[2]}" for name in set(read().scores.values()))]
    wanted += [f"verbs/{verb}" for verb in (*VERBS, "fit", "validate", "test", "predict")]
    wanted += [f"api/{name.partition('.')[2]}" for name in modules.modules()]
    assert not [name for name in wanted if f"generated/{name}.html" not in site]


@pytest.mark.parametrize(("name", "kind", "path"), KINDS, ids=NAMES)
def test_what_has_a_yaml_has_a_formula_and_a_source(name: str, kind: files.Kind, path: Path) -> None:
    said = [about(part.dotted) for part in files.described_parts(path)]
    assert said, f"{path} names no class of the package"
    assert any(each.source for each in said), f"{name}/{path.stem}: no `Source:` in the docstring of any of its classes"
    if kind.folder in ("model", "mask"):
        assert all(each.formulas for each in said), (
            f"{name}/{path.stem}: no `.. math::` in the docstring, nor in docs/fragments"
        )
        assert "math::" in files.page(name, path)


@pytest.mark.parametrize("module", scores.modules(read()))
def test_every_score_has_a_formula_and_a_source(module: str) -> None:
    said = [about(dotted) for dotted in scores.with_formula(module)]
    assert said, f"{module}: no `.. math::` in a docstring"
    assert any(each.source for each in said), f"{module}: no `Source:`"


def test_every_score_of_the_sheet_has_its_measured_scale() -> None:
    found = read()
    assert set(found.entries) == set(sheet.ALL)
    assert set(found.more) == set(sheet.MORE)
    assert {score for score in found.scores if not scores.measured().get(score)} == set()
    assert found.scores["infom"] == "disentangle_pl.metrics.infomec"
    assert scores.measured()["mig"][0] == ("dSprites", "0.000", "0.123 [0.029, 0.255]", "0.896", "86%")
    page = scores.page("disentangle_pl.metrics.mig", found)
    assert "0.123 [0.029, 0.255]" in page
    assert "--disentanglement.only=[mig]" in page
    assert "--scores unfairness" in scores.page("disentangle_pl.metrics.unfairness", found)


def test_a_docstring_is_taken_apart() -> None:
    head = "Do `x` to |y|.\n\n.. math::\n\n    a_i\n    + b\n\n"
    doc = f"{head}More *words*. Source: A 2020\n(arXiv:1).\n\nArgs:\n    x: y."
    found = parts(doc)
    assert found == ("Do `x` to |y|.", "More *words*.", ["a_i\n+ b"], "Source: A 2020 (arXiv:1).")
    assert escaped("`a_b` |c_d| *args") == "``a_b`` \\|c\\_d\\| \\*args"
    assert list(restructured(["a_i", ".. math::", "", "    a_i", "", "b_i"]))[3:] == ["    a_i", "", "b\\_i"]


def test_flags_of_a_page_have_their_defaults() -> None:
    given = {each.name: each for each in settings("disentangle_pl.models.beta_vae.BetaVAE")}
    assert given["beta"].default == "4.0"
    assert "Weight" in given["beta"].meaning
    flags = [part.flag for part in files.described_parts(ROOT / "configs/model/ada_gvae.yaml")]
    assert flags == ["--model", "--model.aggregation"]


def test_formulas_become_mathml() -> None:
    written = convert(r"\frac{a}{b}", display="block")
    assert re.match(r'<math[^>]*display="block".*<mfrac>', written)
