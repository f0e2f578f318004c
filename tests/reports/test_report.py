"""The pages: safe from disk, whole where a run is whole, and honest where it is not."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.reports.blocks import Section
from disentangle_pl.reports.report import write_reports
from disentangle_pl.reports.volumes import Shown, viewer
from tests.command_line import refused, run
from tests.reports.folders import Parsed, make_run, parsed, write_picture

EVIL = "<script>alert(1)</script>"


def page_of(*runs: Path, out: Path | None = None, images: bool = True, include: tuple[Path, ...] = ()) -> Parsed:
    place = out or (None if len(runs) == 1 else runs[0].parent / "all.html")
    return parsed(write_reports(list(runs), place, images=images, include=list(include)))


def test_a_page_has_everything_and_asks_nobody(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "mine"))
    for words in ("finished", "One run, one seed", "too few rows", "0.400", "trainer.max_epochs", "1 min 2 s", "2.6.6"):
        assert words in page.text
    assert [item["href"] for item in page.all("a")] == [
        f"#{name}" for name in ("scores", "latents", "traversals", "reconstructions", "curves", "settings")
    ]
    anchors = {item["id"] for item in page.all("section")}
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= anchors
    assert len(page.all("h1")) == 1
    assert len(page.all("img")) == 3
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    for _, attributes in page.elements:
        assert not any("http" in attributes.get(name, "") for name in ("src", "href", "srcset", "action", "data"))
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_the_policy_allows_this_script_and_this_style_alone(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "mine"))
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        digest = b64encode(sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_policy_of_a_page_with_volumes_is_as_strict_and_no_other_has_their_script(
    tmp_path: Path,
) -> None:
    cube = np.random.default_rng(0).random((4, 5, 6))
    shown = viewer({EVIL: {EVIL: Shown(cube)}}, np.eye(4), EVIL)
    run = make_run(tmp_path / "mine")
    plain = page_of(run)
    assert "canvas" not in plain.raw["script"] + plain.raw["style"]
    page = parsed(write_reports([run], volumes=[Section("volumes", "Volumes", viewers=[shown])]))
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        digest = b64encode(sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert len(page.all("script")) == 1
    assert EVIL in page.text
    (volume,) = (image for image in page.all("img") if "data-group" in image)
    assert volume["data-name"] == EVIL


def test_every_text_is_escaped(tmp_path: Path) -> None:
    folder = make_run(
        tmp_path / "a\"b'<img src=x onerror=alert(1)>", state="failed", more={EVIL: EVIL, "model_note": f"{EVIL}&amp;"}
    )
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"message": f"sub-{EVIL}", "host": EVIL}))
    scores = json.loads((folder / "scores.json").read_text())
    scores["scores"][EVIL] = scores["scores"]["mig"]
    scores |= {"left_out": {EVIL: EVIL}, "versions": {EVIL: EVIL}}
    (folder / "scores.json").write_text(json.dumps(scores))
    (folder / "information.tsv").write_text(f"latent\t{EVIL}\n{EVIL}\t0.5\n")
    metrics = (folder / "metrics.csv").read_text()
    (folder / "metrics.csv").write_text(metrics.replace("train/kl", f"train/{EVIL}"))
    panel = tmp_path / f"<b>{EVIL[:8]}"
    panel.mkdir()
    (panel / "findings.md").write_text(f"# {EVIL}\n- {EVIL}\n")
    (panel / "people.tsv").write_text(f"subject\t{EVIL}\n{EVIL}\t1\n")
    (panel / "about.json").write_text(json.dumps({EVIL: EVIL}))
    write_picture(panel / 'a" onload="alert(1).png')
    for page in (page_of(folder, include=(panel,)), page_of(folder, make_run(tmp_path / "b"), include=(panel,))):
        assert len(page.all("script")) == 1
        assert not page.all("b")
        assert "alert" not in page.raw["script"]
        assert EVIL in page.text
        assert all(set(image) == {"src", "alt", "width", "height"} for image in page.all("img"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("scores", "There are no final scores"),
        ("traversals", "There are none: the run has not come to its end"),
        ("torn", "cut short"),
        ("config", "There is no config.yaml that can be read"),
        ("yaml", "config.yaml cannot be read"),
        ("killed", "This run is crashed"),
        ("preempted", "This run is preempted: told to stop"),
        ("picture", "cannot be shown"),
        ("empty_picture", "cannot be shown"),
        ("metrics", "nothing was logged"),
        ("binary", "metrics.csv"),
        ("unknown", "unknown to this version"),
        ("foreign", "not known here"),
        ("nan", "1 cell without a finite number"),
        ("json", "scores.json cannot be read"),
        ("latents", "Traversals"),
    ],
)
def test_what_is_broken_is_said_and_the_rest_is_shown(tmp_path: Path, damage: str, said: str) -> None:
    more: dict[str, object] = {"new_section": {"some": 1}} if damage == "unknown" else {}
    if damage == "foreign":
        more = {"optimizer": {"class_path": "antigravity.Optimiser", "init_args": {"lr": 3}}}
    folder = make_run(tmp_path / "mine", more=more)
    metrics = (folder / "metrics.csv").read_text()
    changes: dict[str, tuple[str, bytes | None]] = {
        "scores": ("scores.json", None),
        "traversals": ("traversals/step-0000700.png", None),
        "torn": ("metrics.csv", metrics.encode()[:-7]),
        "config": ("config.yaml", None),
        "yaml": ("config.yaml", b"model: [\x00"),
        "killed": ("state.json", b'{"state": "running", "seconds": 3.0}'),
        "preempted": ("state.json", b'{"state": "preempted", "message": "told to stop"}'),
        "picture": ("traversals/step-0000700.png", (folder / "traversals/step-0000700.png").read_bytes()[:-900]),
        "empty_picture": ("traversals/step-0000700.png", b""),
        "metrics": ("metrics.csv", None),
        "binary": ("metrics.csv", bytes(range(256)) * 20),
        "nan": ("metrics.csv", metrics.replace("3.5", "nan", 1).encode()),
        "json": ("scores.json", b'{"scores": {"mig": {"va'),
        "latents": ("latents.tsv", b"latent\tkl\nz0\n\xff\xfe"),
    }
    if damage in changes:
        name, content = changes[damage]
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
    if damage == "traversals":
        (folder / "traversals/step-0000200.png").unlink()
    page = page_of(folder)
    assert said in page.text
    assert "Configuration" in page.text
    assert len(page.all("section")) >= 5


def test_nothing_but_a_checkpoint_makes_a_page(tmp_path: Path) -> None:
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    page = page_of(tmp_path / "half")
    assert "There is no config.yaml" in page.text


def test_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "mine")
    (tmp_path / "none").mkdir()
    assert "no run found" in refused(capsys, "report", str(tmp_path / "none"))
    assert "check the path" in refused(capsys, "report", str(tmp_path / "gone"))
    assert "give the folder it lies in" in refused(capsys, "report", str(tmp_path / "mine" / "metrics.csv"))
    assert "to include" in refused(capsys, "report", str(tmp_path / "mine"), "--include", str(tmp_path / "gone"))
    assert "holds no picture" in refused(capsys, "report", str(tmp_path / "mine"), "--variance", str(tmp_path / "none"))
    assert "no checkpoint" in refused(capsys, "report", str(tmp_path / "mine"), "--encode=true")
    blocked = tmp_path / "mine" / "config.yaml" / "page.html"
    assert "cannot be written" in refused(capsys, "report", str(tmp_path / "mine"), "--out", str(blocked))


def test_one_broken_run_among_ten_leaves_nine(tmp_path: Path) -> None:
    for seed in range(5):
        make_run(tmp_path / f"beta-{seed}", seed=seed, mig=0.1 + 0.01 * seed)
        make_run(tmp_path / f"ada-{seed}", seed=seed, aggregation="AdaGVAE", mig=0.6)
    (tmp_path / "ada-2" / "config.yaml").write_bytes(b"\x00\xff")
    (tmp_path / "ada-2" / "metrics.csv").write_bytes(b"\xff\xfe step")
    (tmp_path / "ada-2" / "traversals" / "step-0000700.png").write_bytes(b"no picture")
    page = page_of(tmp_path, out=tmp_path / "page.html")
    assert "ada-2 is corrupt: config.yaml cannot be read" in page.text
    assert "10 runs in 3 groups" in page.text
    assert "0.120 [" in page.text, "mean of five seeds"
    assert "AdaGVAE" in page.text
    assert "(5)" in page.text
    assert "(4)" in page.text, "four runs of Ada-GVAE came to their end"
    assert "data.dataset" not in page.text, "what is the same is not shown"
    assert len(page.all("polyline")) >= 9


def test_one_seed_is_called_one_seed(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "one"), make_run(tmp_path / "two", aggregation="AdaGVAE"))
    assert "(one seed)" in page.text
    assert "Of one seed only" in page.text


def test_floors_of_different_data_are_not_mixed(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", aggregation="AdaGVAE")
    assert "mig, floor 0.010, ceiling 0.900" in page_of(one, two).text
    scores = json.loads((two / "scores.json").read_text())
    scores["scores"]["mig"]["ceiling"] = 0.5
    (two / "scores.json").write_text(json.dumps(scores))
    text = page_of(one, two).text
    assert "mig, floor 0.010" in text
    assert "mig, floor 0.010, ceiling" not in text


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "first" / "mine"), make_run(tmp_path / "second" / "mine"))
    assert "first/mine" in page.text
    assert "second/mine" in page.text


def test_without_images_no_picture_is_in_the_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "mine")
    panel = tmp_path / "latents"
    write_picture(panel / "latents.png")
    for runs in ((folder,), (folder, make_run(tmp_path / "two"))):
        page = page_of(*runs, images=False, include=(panel,))
        assert not page.all("img")
        assert "Pictures are left out" in page.text


def test_what_other_verbs_left_is_shown(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "mine")
    (folder / "variance").mkdir()
    (folder / "variance" / "variance.tsv").write_text("factor\tvalue\nsize\t0.123456789\n" + "x\t1\n" * 30)
    write_picture(folder / "variance" / "heat.png")
    page = page_of(folder)
    assert "Directions of variance: variance" in page.text
    assert "0.1235" in page.text
    assert "31 rows, the first 20" in page.text
    assert "#included-100" in {link["href"] for link in page.all("a")}


def test_the_same_run_gives_the_same_bytes_and_the_folder_stays_clean(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "mine")
    before = {path.name for path in folder.iterdir()}
    first = write_reports([folder]).read_bytes()
    assert write_reports([folder]).read_bytes() == first
    assert {path.name for path in folder.iterdir()} == before | {"report.html"}


def test_a_folder_as_out_and_the_usual_place_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "one")
    make_run(tmp_path / "runs" / "two")
    run("report", "runs")
    assert (tmp_path / "comparison.html").is_file()
    run("report", "runs/one", "--out", "pages")
    assert (tmp_path / "pages").is_file() or (tmp_path / "pages" / "report.html").is_file()


def test_a_page_that_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "mine")
    (tmp_path / "page.html").mkdir()
    (tmp_path / "page.html" / "report.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_reports([folder], tmp_path / "page.html")
    assert not list((tmp_path / "page.html").glob("*.tmp"))
