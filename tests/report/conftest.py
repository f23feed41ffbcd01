import shutil

import pytest

from iafsweep.report import serve
from tests.report.chromium import Chromium, executable
from tests.report.sweeps import COMMAND, SweepMaker


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if executable() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    profile = tmp_path_factory.mktemp("chromium")
    browser = Chromium(profile)
    yield browser
    browser.close()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """A sweep at which a driver is at work, and the address where its report is served, renewed without waiting."""
    monkeypatch.setattr(serve, "FEWEST_SECONDS", 0.2)
    monkeypatch.setattr(serve, "SHARE_OF_TIME", 1e9)
    maker = SweepMaker(tmp_path / "s", trials=40).began().add(count=30)
    with maker.folder.lock(), serve.served(maker.folder.path, COMMAND) as address:
        yield maker, address


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """A sweep that ended, with everything a report can show."""
    maker = SweepMaker(tmp_path_factory.mktemp("sweeps") / "full", trials=24).began()
    maker.add(count=14, pictures=True).add("stopped", count=5).add("diverged").add("oom", error="CUDA out of memory")
    maker.add("failed", count=3, error="Traceback\nValueError: no").ended()
    maker.score("t0001", "t0002", untrusted=0.02).score("t0003", untrusted=0.9)
    return maker.folder
