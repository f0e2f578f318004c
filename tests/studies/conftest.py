"""What several studies are tested on."""

import sys
from collections.abc import Iterator

import pytest

from tests.studies.brain_runs import Runs, make_runs


@pytest.fixture(scope="session")
def brain_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Two brain models and their data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.setattr(sys, "argv", ["disentangle-pl"])
        yield make_runs(tmp_path_factory.mktemp("brains"))
