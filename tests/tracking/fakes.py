"""A tracker that notes what it is told: pairs of a run's key and what was said of it."""


class FakeRun:
    def __init__(self, log, key, epochs_sent=0):
        self.log, self.key, self.epochs_sent = log, key, epochs_sent

    def epoch(self, metrics):
        self.log.append((self.key, metrics.epoch))

    def figures(self, values):
        self.log.append((self.key, dict(values)))

    def image(self, name, path):
        self.log.append((self.key, name))

    def end(self, status):
        self.log.append((self.key, status))


class FakeTracker:
    """Runs of its are ``make_run(log, key, epochs_sent)``; ``epochs_sent`` of a new one are there already."""

    def __init__(self, log, epochs_sent=0, make_run=FakeRun):
        self.log, self.runs, self.closed = log, {}, False
        self._epochs_sent, self._make_run = epochs_sent, make_run

    def open(self, run):
        before = self.runs.get(run.key)
        sent = self._epochs_sent if before is None else before.epochs_sent
        self.runs[run.key] = self._make_run(self.log, run.key, sent)
        self.log.append((run.key, run))
        return self.runs[run.key]

    def close(self):
        self.closed = True
