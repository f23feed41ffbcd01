import pytest


@pytest.fixture(autouse=True)
def own_results_folder(tmp_path, monkeypatch):
    """Driven by hand, a trial has its folder under ~/ray_results."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray_results"))


@pytest.fixture
def trial():
    """Makes trials, and puts them away."""
    made = []

    def make(kind, values):
        made.append(kind(values))
        return made[-1]

    yield make
    for each in made:
        each.stop()
