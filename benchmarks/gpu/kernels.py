"""Where a step's time on the device goes: its kernels by class (on a CPU its operations), by their names."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

OTHER = "other"
CLASSES = (
    ("Adam", re.compile("adam")),
    ("batch norm", re.compile("batch_?norm|cudnn::bn_|bn_fw|bn_bw")),
    # What the compiler writes itself is no product, whatever operations its name tells of; its templates are.
    ("ELU", re.compile("triton_(poi|red|per)_.*(?<![a-z])elu")),
    (OTHER, re.compile("triton_(poi|red|per)_")),
    ("convolutions", re.compile("conv|fprop|dgrad|wgrad|cudnn|nchwtonhwc|nhwctonchw")),
    ("ELU", re.compile("(?<![a-z])elu")),
    ("products", re.compile("gemm|gemv|nvjet|cublas|splitk|cutlass|matmul|(?<![a-z])(add|b)?mm(?![a-z])")),
    ("random numbers", re.compile("distribution|random|philox|uniform|normal_|aten::randn|randperm|bernoulli")),
    ("copies and casts", re.compile("memcpy|memset|copy|(?<![a-z])cat|fill|zero|index_select|gather")),
    ("sums", re.compile("reduce|aten::sum|aten::mean")),
)
"""The first that is found in a name, in small letters; a kernel that does several things counts once."""
SHOWN = 15


def class_of(name: str) -> str:
    """Return the class of a kernel or an operation."""
    small = name.lower()
    return next((each for each, pattern in CLASSES if pattern.search(small)), OTHER)


def time_by_class(step: Callable[[], object], steps: int, device: torch.device) -> dict[str, Any]:
    """Return milliseconds a step by class, in all and of the wall clock, kernels a step, and the longest kernels."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
        wall = (time.perf_counter() - started) * 1e3 / steps
    times: dict[str, float] = defaultdict(float)
    kernels = []
    for each in found.key_averages():
        if (each.device_type is DeviceType.CUDA) is on_gpu:
            microseconds = each.self_device_time_total if on_gpu else each.self_cpu_time_total
            times[class_of(each.key)] += microseconds / 1e3 / steps
            kernels.append((microseconds / 1e3 / steps, each.count / steps, each.key))
    kernels.sort(reverse=True)
    return {
        "ms_by_class": dict(sorted(times.items(), key=lambda item: -item[1])),
        "ms_on_device": sum(times.values()),
        "ms_profiled": wall,
        "kernels_a_step": sum(count for _, count, _ in kernels),
        "longest": [{"ms": ms, "calls": calls, "name": name[:160]} for ms, calls, name in kernels[:SHOWN]],
    }
