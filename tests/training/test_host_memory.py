"""Freed memory is used again without a page of it being mapped anew."""

import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from iafsweep.training import device as host_memory

SCRIPT = """
import resource, sys
import torch
from iafsweep.training.device import give_freed_memory_back, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def step():  # 64 MiB, above the 32 that glibc keeps at most
    torch.ones(16 * 2**20)

if sys.argv[1] == "kept":
    assert keep_freed_memory(torch.device("cpu")) and keep_freed_memory(torch.device("cpu"))
# The least of many: aligned buffers of one size do not fit each other's holes at first.
print(min(faults(step) for _ in range(20)))
held = resident()
give_freed_memory_back()
print(held - resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator, which is left as it is")
def test_a_second_step_touches_no_new_page_and_what_was_kept_can_be_given_back():
    def run(how):
        command = [sys.executable, "-c", SCRIPT, how]
        return [
            int(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        ]

    pages = 64 * 2**20 // 4096
    mapped, _ = run("mapped")
    faults, given_back = run("kept")
    assert mapped > pages / 2  # every step anew; half: where some pages are larger
    assert faults < 100
    assert given_back > 10 * 2**20


def test_another_allocator_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "platform", "another")
    assert not host_memory.keep_freed_memory(torch.device("cpu"))
    host_memory.give_freed_memory_back()


def test_work_on_a_gpu_leaves_the_host_as_it_is(monkeypatch):
    monkeypatch.setattr(host_memory, "_glibc", lambda: SimpleNamespace())  # has no function to call
    assert not host_memory.keep_freed_memory(torch.device("cuda"))
