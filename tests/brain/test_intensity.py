"""Maps of intensity that make scanners alike: the stripe of white matter, and standard histograms."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchio as tio

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import MEANS
from disentangle_pl.brain.foreground import foreground
from disentangle_pl.brain.intensity import (
    PERCENTILES,
    Histogram,
    Intensity,
    WhiteStripe,
    landmarks_of,
    learnt_landmarks,
    read_landmarks,
    white_peak,
)
from disentangle_pl.brain.nifti import Voxels
from disentangle_pl.brain.prepared import open_prepared
from disentangle_pl.brain.scanner import Acquisition, scan
from disentangle_pl.errors import InputError
from tests.brain.heads import SIZE, prepared
from tests.brain.scans import bids, write
from tests.command_line import refused, run

LEVELS = {"csf": 44.0, "grey": 96.0, "white": 160.0}


def tissues(seed: int = 0, n: int = 24) -> tuple[Voxels, dict[str, npt.NDArray[np.bool_]]]:
    """Shells of fluid, grey and white matter around one another in air, and where each is."""
    rng = np.random.default_rng(seed)
    radius = np.linalg.norm(np.indices((n, n, n)) - (n - 1) / 2, axis=0) / n * (1 + 0.02 * rng.normal())
    where = {"white": radius < 0.3, "grey": (radius >= 0.3) & (radius < 0.4), "csf": (radius >= 0.4) & (radius < 0.45)}
    values = np.zeros((n, n, n), np.float32)
    for name, mask in where.items():
        values[mask] = LEVELS[name] + 4 * rng.normal(size=int(mask.sum()))
    return values, where


def on_two_scanners(gamma: float) -> tuple[list[Voxels], dict[str, npt.NDArray[np.bool_]]]:
    """The simulated head on two scanners of other gain and contrast, and where its tissues are."""
    head = prepared()[0]
    fractions = torch.from_numpy(head.fractions)
    signal = 0.75 * (torch.einsum("c,cxyz->xyz", torch.from_numpy(MEANS), fractions) + torch.from_numpy(head.detail))
    mask = fractions.sum(0) > 0.5
    still, field = np.zeros(3), np.random.default_rng(0).normal(size=(4, 4, 4))
    scanners = [
        Acquisition(still, still, gain, contrast, 0.02, field, 0.01 * np.exp(gain))
        for gain, contrast in ((-0.4, -gamma), (0.5, gamma))
    ]
    scans = [scan(signal, mask, settings, np.random.default_rng(9)) for settings in scanners]
    places = {"white": head.fractions[a.WHITE] > 0.8, "cortex": head.fractions[a.CORTEX] > 0.7}
    return scans, places


def test_the_stripe_lies_at_the_peak_of_white_matter() -> None:
    values, where = tissues()
    assert white_peak(values[values > 20].astype(np.float64)) == pytest.approx(LEVELS["white"], abs=3)
    done = WhiteStripe()(values)
    assert done[where["white"]].mean() == pytest.approx(0, abs=0.5)
    inside = np.sort(done[foreground(values)])
    middle = float((inside < 0).mean())
    low, high = np.quantile(inside, (middle - 0.04, middle + 0.04))
    stripe = inside[(inside >= low) & (inside <= high)]
    assert 0.5 < stripe.std() < 1
    np.testing.assert_allclose(WhiteStripe()(1000 * values), done, rtol=1e-4, atol=1e-3, err_msg="gain must not matter")


def test_little_white_matter_is_still_the_brightest_peak() -> None:
    values, where = tissues()
    rng = np.random.default_rng(1)
    lost = where["white"] & (rng.random(values.shape) < 0.5)
    values[lost] = LEVELS["grey"] + 4 * rng.normal(size=int(lost.sum()))
    assert white_peak(values[values > 20].astype(np.float64)) == pytest.approx(LEVELS["white"], abs=3)
    values[0, 0, 0] = 4000.0
    assert white_peak(values[values > 20].astype(np.float64)) == pytest.approx(LEVELS["white"], abs=3)


@pytest.mark.parametrize(("gamma", "maps"), [(0.0, ["stripe", "histogram"]), (0.15, ["histogram"])])
def test_two_scanners_come_out_alike(gamma: float, maps: list[str]) -> None:
    scans, places = on_two_scanners(gamma)
    raw = [float(np.log(scans[1][place].mean() / scans[0][place].mean())) for place in places.values()]
    assert min(raw) > 0.6
    standard = learnt_landmarks([landmarks_of(each) for each in scans])
    made: dict[str, Intensity] = {"stripe": WhiteStripe(), "histogram": Histogram(standard)}
    for name in maps:
        one, other = (made[name](each) for each in scans)
        contrast = one[places["white"]].mean() - one[places["cortex"]].mean()
        for place in places.values():
            assert abs(one[place].mean() - other[place].mean()) < 0.1 * contrast, name
    outside = scans[0] == 0
    assert (made["histogram"](scans[0])[outside] == 0).all()
    assert scans[0].shape == (SIZE,) * 3


def test_landmarks_and_maps_are_those_of_torchio(tmp_path: Path) -> None:
    scans = [tissues(seed)[0] * gain for seed, gain in ((1, 1.0), (2, 7.0), (3, 0.2))]
    paths = [write(tmp_path / f"{i}.nii", values) for i, values in enumerate(scans)]
    theirs = tio.HistogramStandardization.train(
        paths, masking_function=lambda image: foreground(image.numpy()), progress=False
    )
    standard = learnt_landmarks([landmarks_of(values) for values in scans])
    without_quartiles = np.delete(theirs, [3, 9])
    np.testing.assert_allclose(
        standard, standard[0] + (1 - standard[0]) * without_quartiles / 100, rtol=1e-5, atol=1e-6
    )
    scaled = standard[0] + (1 - standard[0]) * np.asarray(theirs) / 100
    transform = tio.HistogramStandardization(
        {"t1": scaled}, masking_method=lambda x: torch.from_numpy(foreground(x.numpy()))
    )
    expected = transform(tio.Subject(t1=tio.ScalarImage(tensor=torch.from_numpy(scans[1])[None])))["t1"].numpy()[0]
    low, high = np.percentile(scans[1][foreground(scans[1])], (PERCENTILES[0], PERCENTILES[-1]))
    between = (scans[1] >= low) & (scans[1] <= high)
    np.testing.assert_allclose(Histogram(standard)(scans[1])[between], expected[between], atol=1e-4)


def test_beyond_the_landmarks_the_lines_go_on() -> None:
    values, _ = tissues()
    values[0, 0, :2] = 500.0, -5.0
    own = landmarks_of(values)
    same = Histogram(tuple(own.tolist()))
    np.testing.assert_allclose(same(values), values, atol=1e-2)
    assert learnt_landmarks([own]) == pytest.approx((own / own[-1]).tolist())


def test_what_cannot_be_mapped_is_one_sentence(tmp_path: Path) -> None:
    flat = np.zeros((8, 8, 8), np.float32)
    flat[2:6, 2:6, 2:6] = 5
    with pytest.raises(InputError, match=r"^has 64 voxels in its foreground, too few to find white matter"):
        WhiteStripe()(flat)
    with pytest.raises(InputError, match=r"^has too few different values in its foreground for a histogram"):
        landmarks_of(flat)
    with pytest.raises(InputError, match="has too few different"):
        landmarks_of(0 * flat)
    with pytest.raises(InputError, match=r"the width 0\.7 of a white stripe"):
        WhiteStripe(0.7)
    with pytest.raises(InputError, match="has 11 landmarks above 0 that rise"):
        Histogram((1.0, 2.0))
    with pytest.raises(InputError, match="has 11 landmarks above 0 that rise"):
        Histogram((0.0, *np.arange(1.0, 11)))
    for name, text in (
        ("none", None),
        ("broken", "{"),
        ("list", "[1]"),
        ("other", "{}"),
        ("word", '{"landmarks": ["a"]}'),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=f"{name} has no landmarks"):
            read_landmarks(tmp_path / name)
    (tmp_path / "own.json").write_text(json.dumps({"landmarks": [*range(1, 12)]}))
    assert read_landmarks(tmp_path / "own.json") == tuple(float(i) for i in range(1, 12))


def test_histograms_are_learnt_once_from_training_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = bids(tmp_path / "bids", {"01": 2, "02": 1, "03": 1})
    (tmp_path / "split.tsv").write_text("participant_id\tpart\nsub-01\ttrain\nsub-02\ttrain\nsub-03\ttest\n")
    flags = ["--size", "12", "12", "12", "--spacing", "1", "--out", str(tmp_path / "out")]
    learn = ["--histogram=true", "--split", str(tmp_path / "split.tsv")]
    run("prepare", str(source), *flags, *learn)
    assert "the standard histogram is that of 2 training people's first scans" in capsys.readouterr().out
    (tmp_path / "w12345.csv").write_text("02\n")
    fewer = [*flags[:-1], str(tmp_path / "fewer"), "--withdrawn", str(tmp_path / "w12345.csv")]
    run("prepare", str(source), *fewer, *learn)
    assert "the standard histogram is that of 1 training people's first scans" in capsys.readouterr().out
    about = tmp_path / "out" / "prepared.json"
    landmarks = read_landmarks(about)
    assert landmarks[-1] == 1
    write(source / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz", 3 * tissues(5, 12)[0])
    run("prepare", str(source), *flags, *learn)
    said = capsys.readouterr().out
    assert "is that of an earlier call" in said
    assert "learnt from" not in said
    assert read_landmarks(about) == landmarks
    run("prepare", str(source), *flags[:-1], str(tmp_path / "other"), "--landmarks", str(about))
    one, other = (open_prepared(tmp_path / name).volumes for name in ("out", "other"))
    np.testing.assert_array_equal(one, other)
    run("prepare", str(source), *flags, *learn, "--withdrawn", str(tmp_path / "w12345.csv"))
    said = capsys.readouterr().out
    assert "w12345.csv were among those it was learnt from, their share is still in it: prepare into another" in said
    assert read_landmarks(about) == landmarks
    assert "--whitestripe and --landmarks exclude" in refused(
        capsys, "prepare", str(source), *flags, "--whitestripe=true", "--landmarks", str(about)
    )
    assert "--split says whose histograms" in refused(capsys, "prepare", str(source), *flags, *learn[1:])
    assert "holds scans prepared with intensity" in refused(
        capsys, "prepare", str(source), *flags, "--whitestripe=true"
    )
