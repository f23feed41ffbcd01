"""A run sent to a tracker, as a command sends it."""

from iafsweep.training.tracking import make_mirror


def send(tracker, run, status=""):
    """Send what is in the run's folder to the tracker of that name, and wait until it has it."""
    mirror = make_mirror(tracker)
    mirror.news(run, status)
    assert mirror.close(print) == ""
