import signal

import pytest

from tests.cli.tiny_run import WITHOUT_HAIS


@pytest.fixture(autouse=True)
def keep_signal_handlers():
    """Command lines set handlers of their own, and some tests run them in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def config(tmp_path):
    """The configuration of a run of a second, scored without HAIS."""
    path = tmp_path / "tiny.toml"
    path.write_text(WITHOUT_HAIS)
    return path
