"""What a process may use, from trees of control groups laid out as containers and batch queues have them."""

import os
import resource

import pytest

from iafsweep.limits import Share, processes_left, usable_cpus, usable_memory

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
MANY = 10**6


@pytest.fixture(autouse=True)
def large_machine(monkeypatch):
    """A machine that gives all the limits below something to limit."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": MANY, "SC_PAGE_SIZE": 4096}.__getitem__)


def lay_out(root, groups, mounts, files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("\n".join(groups) + "\n")
    (root / "proc/self/mountinfo").write_text("\n".join(["22 27 0:21 / /proc rw - proc proc rw", *mounts]) + "\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def v1(controller, top="/"):
    return f"32 31 0:29 {top} /sys/fs/cgroup/{controller} rw - cgroup cgroup rw,{controller}"


TREES = {
    "v2, its own group": (
        ["0::/job/step"],
        [V2],
        {"job/step/cpu.max": "300000 100000", "job/cpu.max": "max 100000", "job/step/memory.max": "1048576"},
        Share(3, "the CPU quota of control group /job/step"),
        Share(1048576, "the memory limit of control group /job/step"),
    ),
    "v2, a parent allows less": (
        ["0::/job/step"],
        [V2],
        {
            "job/step/cpu.max": "max 100000",
            "job/cpu.max": "150000 100000",
            "job/step/memory.max": "max",
            "job/memory.max": "4096",
        },
        Share(1, "the CPU quota of control group /job"),
        Share(4096, "the memory limit of control group /job"),
    ),
    "v2, a container that sees its own group as the top": (
        ["0::/"],
        [V2],
        {"cpu.max": "200000 100000", "memory.max": "8192"},
        Share(2, "the CPU quota of control group /"),
        Share(8192, "the memory limit of control group /"),
    ),
    "v2, a container in a namespace of another": (
        ["0::/../other"],
        [V2],
        {"cpu.max": "200000 100000"},
        Share(2, "the CPU quota of control group /"),
        Share(MANY * 4096),
    ),
    "v1, its own group and a parent": (
        ["4:memory:/slurm/job", "1:cpu,cpuacct:/slurm/job", "0::/"],
        [v1("memory"), v1("cpu,cpuacct")],
        {
            "cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "-1",
            "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/slurm/cpu.cfs_quota_us": "250000",
            "cpu,cpuacct/slurm/cpu.cfs_period_us": "50000",
            "memory/slurm/job/memory.limit_in_bytes": "1073741824",
            "memory/memory.limit_in_bytes": "9223372036854771712",
        },
        Share(5, "the CPU quota of control group /slurm"),
        Share(2**30, "the memory limit of control group /slurm/job"),
    ),
    "v1, a container that is told its path from the machine's top": (
        ["4:memory:/docker/abc/inner", "1:cpu:/docker/abc"],
        [v1("memory", "/docker/abc"), v1("cpu", "/docker/abc")],
        {
            "cpu/cpu.cfs_quota_us": "50000",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/inner/memory.limit_in_bytes": "2048",
        },
        Share(1, "the CPU quota of control group /docker/abc"),
        Share(2048, "the memory limit of control group /docker/abc/inner"),
    ),
    "both versions beside each other": (
        ["4:memory:/a", "0::/b"],
        [v1("memory"), "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"],
        {"memory/a/memory.limit_in_bytes": "2048", "unified/b/cpu.max": "400000 100000"},
        Share(4, "the CPU quota of control group /b"),
        Share(2048, "the memory limit of control group /a"),
    ),
    "no limit": (
        ["0::/user.slice"],
        [V2],
        {"user.slice/cpu.max": "max 100000", "user.slice/memory.max": "max"},
        Share(64),
        Share(MANY * 4096),
    ),
    "rubbish": (
        ["", "x", "0::"],
        [V2, "1 2 - cgroup2", "- cgroup"],
        {"cpu.max": "100000 0", "memory.max": "a lot"},
        Share(64),
        Share(MANY * 4096),
    ),
}


@pytest.mark.parametrize("tree", TREES)
def test_limits_of_the_own_group_and_of_those_around_it(tmp_path, tree):
    groups, mounts, files, cpus, memory = TREES[tree]
    root = lay_out(tmp_path, groups, mounts, files)
    assert usable_cpus(root, {}) == cpus
    assert usable_memory(root) == memory


def test_nothing_is_assumed_where_nothing_can_be_read(tmp_path, monkeypatch):
    assert usable_cpus(tmp_path, {}) == Share(64)
    monkeypatch.setattr(os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError("unrecognised")))
    assert usable_memory(tmp_path) is None


def test_cpus_that_the_process_is_bound_to_and_those_of_its_slurm_task(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7, 9})
    assert usable_cpus(tmp_path, {}) == Share(4, "the CPUs this process is bound to")
    assert usable_cpus(tmp_path, {"SLURM_CPUS_PER_TASK": "3"}) == Share(3, "SLURM_CPUS_PER_TASK=3")
    assert usable_cpus(tmp_path, {"SLURM_CPUS_PER_TASK": "8"}).amount == 4
    assert usable_cpus(tmp_path, {"SLURM_CPUS_PER_TASK": "none"}).amount == 4


def test_processes_that_the_control_group_and_the_user_may_still_start(tmp_path, monkeypatch):
    files = {"pids/job/pids.max": "80", "pids/job/pids.current": "70", "pids/pids.max": "max", "pids/pids.current": "9"}
    root = lay_out(tmp_path, ["8:pids:/job"], [v1("pids")], files)
    assert processes_left(root) == Share(10, "the limit of 80 of control group /job")
    for number, uid, threads in [(1, 0, 50), (2, 1000, 3), (3, 1000, 4), (4, 10001, 9)]:
        (root / f"proc/{number}").mkdir()
        status = f"Name:\tx\nUid:\t{uid}\t0\t0\t0\nThreads:\t{threads}\n"
        (root / f"proc/{number}/status").write_text(status)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (9, 9))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert processes_left(root) == Share(2, "the limit of 9 per user (`ulimit -u`)")
    monkeypatch.setattr(os, "getuid", lambda: 0)  # whom no such limit holds
    assert processes_left(root).amount == 10
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, 9))
    assert processes_left(tmp_path / "nowhere") is None
