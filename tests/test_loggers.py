import csv
import os
from pathlib import Path
from typing import Any

import pytest
import wandb

from disentangle_pl.errors import InputError
from disentangle_pl.loggers import MetricsCSV, WandbRun
from tests.models.tiny import sprites, tiny, trainer


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log(logger: MetricsCSV, step: int, **metrics: float) -> None:
    """Log and save, as Lightning does."""
    logger.log_metrics(metrics, step)
    logger.save()


def written(folder: Path, steps: int = 4) -> MetricsCSV:
    logger = MetricsCSV(str(folder / "run"))
    for step in range(steps):
        log(logger, step, loss=step / 4)
    return logger


def test_every_step_is_a_row_on_the_disk_at_once(tmp_path: Path) -> None:
    written(tmp_path, 3)
    assert (tmp_path / "run" / "metrics.csv").read_text().split() == ["step,loss", "0,0.0", "1,0.25", "2,0.5"]


def test_a_new_metric_becomes_a_column_and_leaves_the_old_rows_empty(tmp_path: Path) -> None:
    logger = written(tmp_path, 2)
    log(logger, 2, mig=0.5)
    log(logger, 3, loss=0.75)
    assert table(tmp_path / "run") == [
        {"step": "0", "loss": "0.0", "mig": ""},
        {"step": "1", "loss": "0.25", "mig": ""},
        {"step": "2", "loss": "", "mig": "0.5"},
        {"step": "3", "loss": "0.75", "mig": ""},
    ]


@pytest.mark.parametrize("saved", [False, True])
def test_what_is_logged_at_one_step_shares_a_row(tmp_path: Path, saved: bool) -> None:
    logger = written(tmp_path, 2)
    for metrics in ({"loss": 0.5}, {"mig": 0.25}, {"loss": 0.75}):
        logger.log_metrics(metrics, 2)
        if saved:
            logger.save()
    logger.finalize("success")
    assert table(tmp_path / "run")[2:] == [{"step": "2", "loss": "0.75", "mig": "0.25"}]
    assert len(table(tmp_path / "run")) == 3


def test_a_step_that_nobody_saved_is_written_before_the_next(tmp_path: Path) -> None:
    logger = MetricsCSV(str(tmp_path))
    logger.log_metrics({"loss": 1.0}, 0)
    logger.log_metrics({"loss": 2.0}, 1)
    assert [row["step"] for row in table(tmp_path)] == ["0"]
    logger.finalize("success")
    assert [row["step"] for row in table(tmp_path)] == ["0", "1"]


def test_a_resumed_run_keeps_the_history_and_drops_what_lies_beyond_its_checkpoint(tmp_path: Path) -> None:
    written(tmp_path, 4)
    resumed = MetricsCSV(str(tmp_path / "run"))
    log(resumed, 2, loss=9.0)
    log(resumed, 3, loss=8.0, mig=0.5)
    assert table(tmp_path / "run") == [
        {"step": "0", "loss": "0.0", "mig": ""},
        {"step": "1", "loss": "0.25", "mig": ""},
        {"step": "2", "loss": "9.0", "mig": ""},
        {"step": "3", "loss": "8.0", "mig": "0.5"},
    ]


def test_a_logger_that_logs_nothing_leaves_the_history_alone(tmp_path: Path) -> None:
    written(tmp_path, 2)
    idle = MetricsCSV(str(tmp_path / "run"))
    idle.log_hyperparams({"beta": 4})
    idle.save()
    idle.finalize("success")
    assert len(table(tmp_path / "run")) == 2


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_kill_in_the_middle_of_a_line_loses_that_line_alone(tmp_path: Path, cut: int) -> None:
    logger = written(tmp_path, 2)
    log(logger, 12, loss=0.125)
    path = tmp_path / "run" / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    resumed = MetricsCSV(str(tmp_path / "run"))
    log(resumed, 13, loss=9.0)
    log(resumed, 14, loss=8.0)
    steps = [(row["step"], row["loss"]) for row in table(tmp_path / "run")]
    assert steps == [("0", "0.0"), ("1", "0.25"), ("13", "9.0"), ("14", "8.0")]


def test_a_kill_while_the_table_is_rewritten_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = written(tmp_path, 3)

    def killed(self: object, rows: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(csv.DictWriter, "writerows", killed)
        with pytest.raises(KeyboardInterrupt):
            log(logger, 3, mig=0.5)
    assert len(table(tmp_path / "run")) == 3
    resumed = MetricsCSV(str(tmp_path / "run"))
    log(resumed, 3, mig=0.5)
    assert [row["step"] for row in table(tmp_path / "run")] == ["0", "1", "2", "3"]


def test_a_trained_run_has_one_row_a_logged_step(tmp_path: Path) -> None:
    logger = MetricsCSV(str(tmp_path))
    model, data = tiny(), sprites(8, steps=4)
    trainer(tmp_path, logger=logger, log_every_n_steps=2, max_epochs=2).fit(model, data)
    rows = table(tmp_path)
    assert [row["step"] for row in rows] == ["1", "3", "5", "7"]
    assert [bool(row["val/loss"]) for row in rows] == [False, True, False, True]
    assert all(row["train/loss"] for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_pipe_in_place_of_the_table_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.csv")
    logger = MetricsCSV(str(tmp_path))
    with pytest.raises(InputError, match="is no file"):
        logger.log_metrics({"loss": 1.0}, step=1)


class Recorder:
    """What a logger sends to W&B."""

    def __init__(self) -> None:
        self.id = "a"
        self.rows: list[dict[str, Any]] = []
        self.summaries: dict[str, str] = {}

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def define_metric(self, name: str, step_metric: str, summary: str) -> None:
        self.summaries[name] = summary


def test_a_metric_is_sent_once_a_step_and_the_best_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    run: Any = Recorder()
    logger = WandbRun(experiment=run)
    logger.log_metrics({"val/nll": 3.0, "epoch": 0}, 5)
    logger.log_metrics({"val/nll": 3.0, "epoch": 1, "disentanglement/mig": 0.5, "disentanglement/mig_floor": 0.1}, 5)
    logger.log_metrics({"val/nll": 2.0}, 11)
    assert run.rows == [
        {"val/nll": 3.0, "epoch": 0, "trainer/global_step": 5},
        {"disentanglement/mig": 0.5, "disentanglement/mig_floor": 0.1, "trainer/global_step": 5},
        {"val/nll": 2.0, "trainer/global_step": 11},
    ]
    assert run.summaries == {"val/nll": "min,last", "disentanglement/mig": "max,last"}
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    swept: Any = Recorder()
    WandbRun(experiment=swept).log_metrics({"val/nll": 3.0}, 5)
    assert swept.summaries == {}, "what a sweep optimises stays a number"


def test_tables_with_gaps_are_sent_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "scores.tsv").write_text("name\tvalue\tfloor\nmig\t0.5\tnan\nsap\t0.25\t0.1\n")
    (tmp_path / "latents.tsv").write_text("latent\tkl\nz0\t1.5\n")
    run: Any = Recorder()
    WandbRun(experiment=run).log_tables(tmp_path, 11)
    scores, latents = (next(iter(row.values())) for row in run.rows)
    assert isinstance(scores, wandb.Table)
    assert scores.data == [["mig", 0.5, None], ["sap", 0.25, 0.1]]
    assert latents.data == [["z0", 1.5]]


def test_scores_of_the_last_step_share_its_row_in_a_process_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, 3)
    log(MetricsCSV(str(tmp_path / "run")), 2, mig=0.5)
    assert table(tmp_path / "run")[2:] == [{"step": "2", "loss": "0.5", "mig": "0.5"}]
