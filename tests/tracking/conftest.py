import pytest

from iafsweep.training.tracking import RunToTrack
from tests.finished import BASE, figures, finish_run


@pytest.fixture
def scored_run(tmp_path):
    """A trial of a sweep, trained and scored."""
    folder = finish_run(tmp_path / "run")
    folder.write_evaluation(figures(2))
    return RunToTrack("abc-t0001", "quick t0001", "quick", BASE, folder)
