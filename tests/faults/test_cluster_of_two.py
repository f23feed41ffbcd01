"""Two simulated nodes with two GPUs each: packing, the loss of a node, the rerun over both, a folder not shared."""

import json
import time
from pathlib import Path

import pytest
import torch

from iafsweep.errors import SweepError
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.actor_pool import Unit, run_units
from iafsweep.sweep.cluster.health_check import check_shared_folder
from iafsweep.sweep.cluster.ray_session import running_ray
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions, check_resources
from tests.sweep.tiny import open_placed, take_cpu, tiny_images, tiny_space

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs, and two nodes; token authentication on, as everywhere."""
    import ray
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        ray.shutdown()  # the run's shared one; the next test that wants it starts it again
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.nodes = [cluster.add_node(num_cpus=4, num_gpus=2) for _ in range(2)]
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Sleeper:
    """Says on which node and GPU it ran."""

    def __init__(self, images, device):
        pass

    def run(self, payload, needed):
        import ray

        time.sleep(1.0)
        return json.dumps(ray.get_runtime_context().get_node_id())


def test_four_gpus_on_two_nodes(cluster, tmp_path):
    """Trials fill four GPUs; a node is lost with what ran on it; the sweep ends on the other one."""
    options = LaunchOptions(address=cluster.address, open_trainer=open_placed, take_device=take_cpu)
    with running_ray(options.node, address=cluster.address) as nodes:
        assert sorted((node.cpus, node.gpus) for node in nodes) == [(4, 2), (4, 2)]
        _refusals(options, tmp_path)
        _rerun_over_both_nodes(tmp_path)
        folder = SweepFolder(tmp_path / "sweep")
        space = tiny_space(
            trials=6, epochs=12, sampler="random", max_concurrent=None, gpus_per_trial=1.0, top=0, memory_per_trial=0.1
        )
        watch = _NodeKiller(cluster, folder)
        outcome = launch_sweep(space, folder, tiny_images(), options, watch)
        _wait_until_lost(nodes=2)  # of the cluster's three, the head is one
        _gpu_hours(options, tmp_path)
    assert outcome.status == "completed"
    assert watch.plan == Plan(4, "GPU", 1, 1.0)
    assert watch.killed
    assert [trial.finished.status for trial in outcome.state.trials] == ["completed"] * 6
    assert sum(trial.starts for trial in outcome.state.trials) > 6  # those of the lost node began twice
    for trial in outcome.state.trials:
        epochs = [int(line) for line in (folder.trial(trial.trial) / "epochs").read_text().split()]
        assert sorted(set(epochs)) == list(range(1, 13))
        assert len(epochs) <= 13  # none but the interrupted epoch was trained twice


def _wait_until_lost(nodes):
    """Ray takes a while to notice that a node is gone."""
    import ray

    deadline = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) > nodes:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _gpu_hours(options, tmp_path):
    """A trial counts a second on its GPU (half a one on half a GPU): four of half a second use two up."""
    space = tiny_space(trials=40, epochs=2, sampler="random", gpus_per_trial=0.5, gpu_hours=2 / 3600, top=0)
    outcome = launch_sweep(space, SweepFolder(tmp_path / "hours"), tiny_images(), options, SweepCallback())
    assert (outcome.status, outcome.exit_code) == ("stopped", 0)
    assert "GPU-hours are used up (0.00)" in outcome.reason
    assert 4 <= len(outcome.state.trials) < 10


class _NodeKiller(SweepCallback):
    """Takes a node away once all four GPUs have trained some epochs."""

    def __init__(self, cluster, folder):
        self._cluster, self._folder = cluster, folder
        self._seen = {}
        self.killed = False
        self.plan = None

    def begin(self, plan, state, trials):
        self.plan = plan

    def epoch(self, report, state):
        self._seen[report.trial] = report.epoch
        if not self.killed and len(self._seen) == 4 and min(self._seen.values()) >= 2:
            places = {path.read_text() for path in self._folder.trials.glob("*/place")}
            assert len(places) == 4, places  # four trials on four different GPUs
            self.killed = True
            self._cluster.remove_node(self._cluster.nodes[1], allow_graceful=False)


def _refusals(options, tmp_path):
    space = tiny_space(gpus_per_trial=4.0)
    check_resources(space, SweepFolder(tmp_path / "refused"), options)  # imports what it needs
    started = time.monotonic()
    with pytest.raises(SweepError, match="asks for 1 CPU, 4 GPU and 1 GiB of memory on one node, but there is only"):
        launch_sweep(space, SweepFolder(tmp_path / "refused"), tiny_images(), options, SweepCallback())
    assert time.monotonic() - started < 30  # not Ray's minutes of waiting for what never comes
    check_shared_folder(tmp_path)
    with pytest.raises(SweepError, match="must be the same folder on all 3 nodes"):
        check_shared_folder(_OnlyHere(tmp_path / "private"))


class _OnlyHere(type(Path())):
    """A folder whose files nobody else finds: what is written lands elsewhere."""

    def __truediv__(self, name):
        path = Path(str(self) + "-elsewhere")
        path.mkdir(exist_ok=True)
        return _Elsewhere(Path(str(self)) / name, path / name)

    def glob(self, pattern):
        return iter(())


class _Elsewhere:
    def __init__(self, said, real):
        self._said, self._real = said, real

    def write_text(self, text, encoding):
        self._real.write_text(text, encoding=encoding)

    def __str__(self):
        return str(self._said)


def _rerun_over_both_nodes(tmp_path):
    folder = SweepFolder(tmp_path / "rerun")
    units = [Unit(f"t0001-{number}.json", None) for number in range(12)]
    plan = Plan(at_a_time=8, limited_by="CPU", cpus=1, gpus=0.0)
    images = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    outcome = run_units(units, folder, images, Sleeper, plan, lambda done: None)
    assert len(outcome.results) == 12
    assert len(set(outcome.results.values())) == 2
