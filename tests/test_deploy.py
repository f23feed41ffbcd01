"""The files of deploy/, as far as they can be checked without a cluster."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from iafsweep.cli.sweep import app

DEPLOY = Path(__file__).parent.parent / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".yaml", ".sh"))


def test_there_are_a_ray_cluster_a_kuberay_job_and_a_slurm_script():
    assert [path.name for path in FILES] == ["kuberay-rayjob.yaml", "ray-cluster.yaml", "slurm.sh"]


def test_ray_takes_the_cluster_file():
    """Ray's own check of cluster files, in a process of its own."""
    code = (
        "import sys, yaml; from ray.autoscaler._private.util import prepare_config, validate_config; "
        "validate_config(prepare_config(yaml.safe_load(open(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", code, DEPLOY / "ray-cluster.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_kuberay_job_has_what_a_job_needs():
    job = yaml.safe_load((DEPLOY / "kuberay-rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] >= 60
        mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts <= {volume["name"] for volume in pod["volumes"]}
    workers = cluster["workerGroupSpecs"][0]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert all(isinstance(value, str) for group in groups for value in group["rayStartParams"].values())


def test_slurm_script_is_bash():
    script = DEPLOY / "slurm.sh"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def commands(text):
    """Each call of `run_sweep.py` in a file, as the command and the options it is given, those of an array too."""
    text = text.replace("\\\n", " ")
    arrays = dict(re.findall(r"^(\w+)=\((.*?)\)", text, re.MULTILINE | re.DOTALL))
    for command, rest in re.findall(r"run_sweep\.py ([a-z-]+)([^;&\n]*)", text):
        for name, words in arrays.items():
            rest = rest.replace(f'"${{{name}[@]}}"', words)
        yield command, set(re.findall(r"(?<!\S)--[a-z-]+", rest))


def test_the_options_of_each_call_are_found():
    text = """
options=(--address "$head" --hours 1)
python run_sweep.py resume x \\
  --wait "${options[@]}" &
sh -c 'run_sweep.py stop x; ls --all'
"""
    assert list(commands(text)) == [("resume", {"--address", "--hours", "--wait"}), ("stop", set())]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_and_options_exist_and_authentication_stays_on(path):
    text = path.read_text()
    assert "RAY_AUTH_MODE=disabled" not in text
    assert "token" in text
    called = list(commands(text))
    assert {command for command, _ in called} == {"launch", "resume"}  # begun once, then gone on with
    for command, options in called:
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert shown.exit_code == 0
        assert options - set(re.findall(r"--[a-z-]+", shown.output)) == set()
        assert "--address" in options
        assert command != "launch" or {"--name", "--runs"} <= options  # without a name a second start is a second sweep
