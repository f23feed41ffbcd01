import signal

import pytest


@pytest.fixture(autouse=True)
def keep_signal_handlers():
    """Command lines set handlers of their own, and some tests run them in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
