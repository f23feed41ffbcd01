"""All that is to be learned on a GPU, out of one command of ten minutes at most: `python -m benchmarks.gpu OUT`.

Each step is a process of its own with a time limit, so that one that fails, hangs or runs out of memory costs itself
alone, and the figures that it had recorded before are kept. `OUT/gpu.json` and `OUT/summary.md` are written anew
after each, the most important first. `--rehearsal` does the same steps, tiny, on a CPU. `tools/gpu_page.py` makes a
section of docs/performance.md from `gpu.json`.

``schedule`` the steps · ``drive`` runs them · ``context`` what a step is given · ``sizes`` how large · ``images``,
``share`` of what device · ``summary`` in words. The steps: ``machine`` · ``correctness`` · ``memory``,
``trial_memory`` · ``throughput`` with ``kernels`` · ``scoring`` · ``packing``, ``plan`` · ``small_sweep`` ·
``long_training``.
"""
