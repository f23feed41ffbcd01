"""Who has no token is turned away, and files from elsewhere run no code and leave no folder."""

import json
import os
import pickle
import subprocess
import sys

import pytest
import torch

from iafsweep.errors import ConfigError, RunFolderError, SweepError
from iafsweep.results.leaderboard_rows import leaderboard_rows
from iafsweep.search_space.files import checked_space, load_space, read_stored_space
from iafsweep.sweep.storage.events import trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.tune.trial_run import open_trainer
from iafsweep.training import RunFolder, Trainer, load_trained_model
from tests.sweep.storage.test_ledger import HEADER, finished, proposed
from tests.sweep.tiny import BASE, tiny_images, tiny_space

pytestmark = pytest.mark.faults
CLIENT = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print("ran", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


def client(address, tmp_path, **changes):
    """Try to run a task on the cluster as somebody with another home and this environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(tmp_path), "RAY_gcs_rpc_server_reconnect_timeout_s": "5", **changes}
    words = [sys.executable, "-c", CLIENT, address]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_client_with_the_token_is_let_in(ray_cluster, tmp_path):
    import ray

    home = os.path.expanduser("~")
    done = client(ray.get_runtime_context().gcs_address, tmp_path, HOME=home, RAY_AUTH_MODE="token")
    assert "ran 42" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}, id="wrong token"),
        pytest.param({"RAY_AUTH_MODE": "disabled"}, id="no token"),
    ],
)
def test_a_client_without_the_token_is_turned_away(ray_cluster, tmp_path, environment):
    import ray

    done = client(ray.get_runtime_context().gcs_address, tmp_path, **environment)
    assert done.returncode != 0
    assert "ran 42" not in done.stdout
    assert any(word in done.stderr.lower() for word in ("authentic", "unauthorized", "token"))


class Evil:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path):
    """A folder that must not appear."""
    path = tmp_path / "code-ran"
    yield path
    assert not path.exists()


def test_a_checkpoint_with_code_in_it_runs_none(tmp_path, trap):
    folder = RunFolder(tmp_path / "run")
    trainer = Trainer.start(BASE, tiny_images(), folder, torch.device("cpu"))
    trainer.run_epoch()
    trainer.finish()
    for make in (
        lambda path: torch.save({"model": Evil(trap)}, path),
        lambda path: path.write_bytes(pickle.dumps(Evil(trap), protocol=2)),
    ):
        make(folder.last)
        make(folder.best)
        with pytest.raises(RunFolderError):
            open_trainer(BASE, tiny_images(), folder.path, torch.device("cpu"))
        with pytest.raises(RunFolderError):
            load_trained_model(folder, "best", torch.device("cpu"))


HOSTILE = [
    "\"model.flow.depth\" = { choice = [\"__import__('os').mkdir('PATH')\"] }",
    "\"model.flow.depth\" = { int = [0, 1], when = \"__import__('os').mkdir('PATH')\" }",
    '"model.flow.depth" = { int = [0, 1], when = "model.latent_size.__class__ == 1" }',
    '"model.flow.depth" = { int = [0, 1], when = "(lambda: 1)() > 0" }',
    '"../../x" = { int = [0, 1] }',
]


def read_checked(path):
    """As a space is read whose sweep was not begun."""
    return checked_space(read_stored_space(path), path)


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize("read", [load_space, read_checked])
def test_a_space_with_code_in_it_runs_none(tmp_path, trap, line, read):
    path = tmp_path / "space.toml"
    path.write_text("[search]\n" + line.replace("PATH", str(trap)))
    with pytest.raises(ConfigError):
        read(path)


def test_a_base_that_is_no_configuration_tells_nothing_of_it(tmp_path):
    path = tmp_path / "space.toml"
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0:hidden words\n")
    path.write_text(f'base = "{secret}"\n[search]\n"model.flow.depth" = {{ int = [0, 1] }}\n')
    with pytest.raises(ConfigError) as caught:
        load_space(path)
    assert "hidden words" not in str(caught.value)


@pytest.fixture
def ledger(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()

    def write(*rows):
        lines = [HEADER.model_dump_json(), *(row if isinstance(row, str) else json.dumps(row) for row in rows)]
        folder.ledger.write_text("\n".join(lines) + "\n")
        return folder

    return write


@pytest.mark.parametrize("name", ["../../../etc", "t0001/../../x", "/etc/passwd", "t0001\u0000", "..", "t" + "9" * 40])
def test_names_in_a_ledger_cannot_leave_its_folder(ledger, name):
    folder = ledger({**proposed(1).model_dump(), "trial": name})
    state = read_ledger(folder.ledger)
    assert state.trials == ()
    assert len(state.problems) == 1
    for use in (folder.trial, folder.trial_stop_request, folder.put_aside):
        with pytest.raises(SweepError, match="is not the name of a trial"):
            use(name)
    with pytest.raises(SweepError, match="is not a valid name for a result file"):
        folder.result(name + "/x")


def test_a_ledger_with_code_and_formulas_in_it_is_text(ledger, trap, tmp_path):
    from iafsweep.leaderboard import markdown_table, write_csv
    from iafsweep.leaderboard.table import leaderboard_table

    text = f"__import__('os').mkdir('{trap}')"
    evil = proposed(1).model_copy(update={"parameters": {text: "=cmd|' /C calc'!A0", "<script>": "<img src=x>"}})
    end = finished(1).model_copy(update={"error": "=HYPERLINK(1)\n<script>alert(1)</script>", "device": text})
    folder = ledger(evil.model_dump(), end.model_dump(), pickle.dumps(Evil(trap)).decode("latin1"))
    rows = leaderboard_rows(read_ledger(folder.ledger), tiny_space())
    write_csv(rows, tmp_path / "l.csv")
    cells = [cell for line in (tmp_path / "l.csv").read_text().splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.lstrip('"').startswith(("=", "+", "-", "@"))]
    assert "<script>" not in markdown_table(leaderboard_table(rows))


def test_huge_numbers_of_trials_are_no_problem(ledger):
    folder = ledger({**proposed(1).model_dump(), "trial": "t999999999", "number": 999999999})
    state = read_ledger(folder.ledger)
    assert state.last_number == 999999999
    assert trial_name(state.last_number + 1) == "t1000000000"
