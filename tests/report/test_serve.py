"""`report --serve`: read from this machine alone, behind a token, until Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from iafsweep.cli.sweep import app
from iafsweep.errors import UserError
from iafsweep.report import changes
from tests.report.sweeps import SweepMaker


def answer(address, method="GET", **headers):
    try:
        with urlopen(Request(address, method=method, headers=headers), timeout=20) as found:
            return found.status, found.headers, found.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, b""


def test_the_server_answers_who_knows_the_token_on_this_machine_alone(growing):
    _, address = growing
    host = address.split("/")[2]
    assert host.startswith("127.0.0.1:")
    assert len(address.split("/")[3]) >= 20
    status, headers, page = answer(address)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert b"connect-src 'self'" in page
    for other in (f"http://{host}/", f"http://{host}/wrong/", f"{address}../trials.jsonl", f"{address}trials.jsonl"):
        assert answer(other)[0] == 404, other
    assert answer(address, Host="evil.example.org")[0] == 404
    status, headers, data = answer(f"{address}data")
    assert status == 200
    assert json.loads(data)["running"]
    assert answer(f"{address}data", **{"If-None-Match": headers["ETag"]})[0] == 304
    for method in ("POST", "PUT", "DELETE"):
        assert answer(address, method)[0] == 501


def test_a_sweep_that_cannot_be_read_for_a_while_costs_no_more_than_that(growing):
    maker, address = growing
    aside = maker.folder.space.rename(maker.folder.space.with_suffix(".aside"))
    time.sleep(0.3)  # what was read is kept so long
    assert answer(f"{address}data")[0] == 503
    aside.rename(maker.folder.space)
    time.sleep(0.3)
    assert answer(f"{address}data")[0] == 200


def test_ctrl_c_ends_it_and_nothing_was_written(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add(count=2).ended()
    before = {path: path.stat().st_mtime_ns for path in maker.folder.path.rglob("*")}
    command = [sys.executable, "run_sweep.py", "report", str(maker.folder.path), "--serve"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert answer(process.stdout.readline().removeprefix("Report: ").strip())[0] == 200
            process.send_signal(signal.SIGINT)
            said, faults = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, faults) == (0, "")
    assert "nothing was written" in said
    after = {path: path.stat().st_mtime_ns for path in maker.folder.path.rglob("*") if path.name != "driver.lock"}
    assert after == before


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--serve", "--follow"], "leave one of them out"), (["--serve", "--to", "x.html"], "leave one of them out"),
     (["--open"], "--open needs --serve")],
)  # fmt: skip
def test_options_that_do_not_go_together(tmp_path, options, said):
    maker = SweepMaker(tmp_path / "s")
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(app, ["report", str(maker.folder.path), *options], catch_exceptions=False)


def test_following_writes_again_until_no_driver_is_at_work(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add()
    seen, lock = [], ExitStack()
    lock.enter_context(maker.folder.lock())

    def wait(seconds):
        """What happens to the sweep while it is not looked at."""
        assert seconds >= 2
        if len(seen) == 1:
            maker.add()
        else:
            lock.close()

    for sweep in changes(maker.folder.path, wait):
        seen.append((len(sweep.state.trials), sweep.driver is not None))
    assert seen == [(1, True), (2, True), (2, False)]
