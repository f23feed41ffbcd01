"""A sweep on images of one's own: launched, moved, changed; by the commands, as a user would."""

import shutil

import numpy as np
import pytest

from iafsweep.api import launch as api
from iafsweep.api.news import Place, SweepNews
from iafsweep.api.own_images import space_with_images
from iafsweep.errors import DataError
from iafsweep.search_space.files import load_space
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import open_ledger
from iafsweep.sweep.tune.options import LaunchOptions
from tests.api.test_own_images import CONFIG, GREY, SPACE, changed
from tests.test_end_to_end import run

pytestmark = pytest.mark.faults


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "secret-name.npz", train=GREY)
    (tmp_path / "space.toml").write_text(CONFIG.format(path="secret-name.npz") + SPACE)
    return tmp_path


def test_a_sweep_whose_images_were_changed_does_not_go_on(home):
    space, _ = space_with_images(load_space("space.toml"), None)
    folder = SweepFolder(home / "s")
    folder.create()
    open_ledger(space, folder).close()
    np.savez("secret-name.npz", train=changed())
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    for place in (None, "secret-name.npz"):
        with pytest.raises(DataError, match="the images have changed"):
            api.resume(folder.path, {}, Place(LaunchOptions(), home, SweepNews(), place))
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_launched_moved_and_scored_again(home):
    done = run("run_sweep.py", "launch", "space.toml", "--name", "s", "--top", 1, "--cpus-per-trial", 1, cwd=home)
    assert "secret-name.npz: 49 images to train on, 5 to validate on, 6 to test on" in done.stdout
    shutil.move(home / "secret-name.npz", home / "moved.npz")
    for command in ("status", "export", "report"):
        run("run_sweep.py", command, "runs/s", cwd=home)
    report = (home / "runs" / "s" / "report.html").read_text()
    assert "54 images to train and validate on" in report
    assert "moved.npz" not in report
    for name in ("report.html", "leaderboard.md", "leaderboard.csv"):
        assert "secret-name" not in (home / "runs" / "s" / name).read_text()
    missing = run("run_sweep.py", "rerun", "runs/s", "--top", 2, cwd=home, code=2)
    assert "--data-path" in missing.stderr
    again = run("run_sweep.py", "rerun", "runs/s", "--top", 2, "--data-path", "moved.npz", cwd=home)
    assert again.stdout.count("± ") >= 2
    assert SweepFolder(home / "runs" / "s").space.read_text().count("secret-name") == 1  # where they were
