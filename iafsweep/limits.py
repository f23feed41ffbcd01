"""How many CPUs, how much memory and how many more processes this process may use, and what limits them.

A container or a batch job sees all cores and memory of the machine, but may use only a part of them. The limits come
from the cores that the process is bound to, from its control group and the enclosing ones (cgroup v1 and v2, also
mounted together), and from Slurm.
"""

import os
import re
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_ROOT = Path("/")


class Share(NamedTuple):
    """How much of a resource a process may use.

    Attributes:
        amount: a count, or bytes.
        limit: what restricts it to less than the whole machine; empty if nothing does.
    """

    amount: int
    limit: str = ""


def usable_cpus(root: Path = _ROOT, environment: Mapping[str, str] = os.environ) -> Share:
    """Return how many CPUs this process may keep busy: the smallest of all limits, but at least 1.

    Quotas are rounded down: one and a half CPUs count as 1.
    """
    bound = len(os.sched_getaffinity(0))
    shares = [Share(bound, "" if bound >= (os.cpu_count() or bound) else "the CPUs this process is bound to")]
    for group, name in _groups(root, "cpu"):
        match _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us"):
            case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):  # not "max", not -1
                shares.append(Share(max(int(quota) // int(period), 1), f"the CPU quota of control group {name}"))
    if (task := environment.get("SLURM_CPUS_PER_TASK", "")).isdecimal() and int(task):
        shares.append(Share(int(task), f"SLURM_CPUS_PER_TASK={task}"))
    return min(shares, key=lambda share: share.amount)


def usable_memory(root: Path = _ROOT) -> Share | None:
    """Return how many bytes of memory this process may use; None if that is unknown."""
    shares = []
    try:
        shares.append(Share(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    except (ValueError, OSError):
        pass
    for group, name in _groups(root, "memory"):
        match _words(group / "memory.max") or _words(group / "memory.limit_in_bytes"):
            case [limit] if limit.isdecimal():
                shares.append(Share(int(limit), f"the memory limit of control group {name}"))
    return min(shares, key=lambda share: share.amount, default=None)


def processes_left(root: Path = _ROOT) -> Share | None:
    """Return how many more processes and threads may be started; None if nothing limits them."""
    shares = []
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if most != resource.RLIM_INFINITY and os.getuid() != 0:  # the limit does not apply to root
        shares.append(Share(max(most - _threads_of_user(root), 0), f"the limit of {most} per user (`ulimit -u`)"))
    for group, name in _groups(root, "pids"):
        match _words(group / "pids.max") + _words(group / "pids.current"):
            case [limit, now] if limit.isdecimal() and now.isdecimal():
                shares.append(Share(max(int(limit) - int(now), 0), f"the limit of {limit} of control group {name}"))
    return min(shares, key=lambda share: share.amount, default=None)


def _threads_of_user(root: Path) -> int:
    found = 0
    for status in (root / "proc").glob("[0-9]*/status"):
        fields = dict(line.split(":\t", 1) for line in _lines(status) if ":\t" in line)
        if fields.get("Uid", "").split("\t")[0] == str(os.getuid()):
            found += int(fields.get("Threads", 0))
    return found


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, str]]:
    """Yield folder and name of the process's own control group and of each enclosing one that is visible."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, own = (line.split(":", 2) + ["", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        for kind, top, folder in mounts:
            if kind != (controller if controllers else ""):
                continue
            # A container may see only the tree below its own group, while /proc gives the path from the host's root.
            below = PurePosixPath(own)
            below = below.relative_to(top) if below.is_relative_to(top) and ".." not in below.parts else PurePosixPath()
            for part in (below, *below.parents):
                yield folder / part, str(PurePosixPath(top) / part)


def _mounts(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield controller (empty for version 2), root and mount point of each mounted tree of control groups."""
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, system = line.partition(" - ")
        fields, kind = mount.split(" "), system.split(" ")
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        top, folder = (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), field) for field in fields[3:5])
        for controller in [""] if kind[0] == "cgroup2" else kind[2].split(","):
            yield controller, top, root / folder.lstrip("/")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
