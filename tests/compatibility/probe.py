"""Says, as JSON, what the package on the path makes of folders: run in a process of its own, with a later package."""

import json
import sys
from pathlib import Path

from iafsweep import load_run
from iafsweep.results.status import status_of
from iafsweep.sweep.callbacks.base import StopReason
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.base import make_stop_rule
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, open_ledger, read_sweep
from iafsweep.sweep.tune.searcher import LedgerSearcher
from tests.compatibility import folders


def probe(folder: Path) -> dict:
    """Figures, the trials that a driver would be given next, and the same once it has rewritten ``sweep.toml``."""
    sweep = SweepFolder(folder)
    now = status_of(read_sweep(sweep))
    said = {"figures": folders.sweep_figures(folder), "trials": now.trials, "unscored": list(now.unscored)}
    space = load_sweep_space(sweep)
    with open_ledger(space, sweep) as ledger:
        proposer, unfinished = make_proposer(space), ledger.state.unfinished
        rule = make_stop_rule(space, ledger.state)
        searcher = LedgerSearcher(space, ledger, proposer, rule, 0.0, lambda: "", unfinished, StopReason())
        given = [searcher.suggest("") for _ in range(3)]
    said["given"] = [each if isinstance(each, str) else each | {"config": json.loads(each["config"])} for each in given]
    stored = read_sweep(sweep)
    assert stored.space == space
    said["proposed"] = [[trial.proposed.key, trial.proposed.seed] for trial in stored.state.trials]
    return said


def probe_all(where: Path) -> dict:
    """What is made of every folder in ``where``."""
    found = {name: probe(where / name) for name in folders.SWEEPS}
    found |= {name: folders.run_figures(where / name) for name in folders.RUNS}
    return json.loads(json.dumps(found | {"config": load_run(where / "run", "cpu").config.model_dump(mode="json")}))


if __name__ == "__main__":
    print(json.dumps(probe_all(Path(sys.argv[1]))))
